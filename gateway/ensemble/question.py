"""What a question asks for: one of several options, a number, yes or no. It only reads the text by which a request is routed."""

import re
from dataclasses import dataclass
from itertools import takewhile

from router.probes.checkers.short_text import normalised, without_article
from router.probes.checkers.visible import plain_signs

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKS = r"[ \t>]{0,8}(?:(?:[-*•]|#{1,6})[ \t]{1,4})?[*_`]{0,3}"
_LINE = re.compile(
    rf"^{_MARKS}(?:\(?(?P<any>[A-Za-z])[)\]]|(?P<capital>[A-Z])(?:[.:]|[ ][-–—](?=[ ])|,(?=[^\x00-\x7f])))[*_`]{{0,3}}",
    re.MULTILINE,
)
_INLINE = re.compile(r"(?<![\w(])\(?(?P<any>[A-Za-z])\)")
_DOTTED = re.compile(r"(?<![\w.])(?P<any>[A-Z])(?:[.:](?=[ \t]|[^\x00-\x7f])|,(?=[^\x00-\x7f]))")
FEWEST_DOTTED = 3  # "A. Smith and B. Jones" are no options

_NUMBER = re.compile(
    r"(?<!\w)(?:how (?:many|much|old|far|tall|high|fast|heavy|long (?:is|does|did|will|would|was))"
    r"|(?:what|which|in what|in which) year|what (?:percentage|percent|fraction|time)"
    r"|what (?:is|was|are|were|will be|would be) (?:the )?(?:\w+ ){0,3}(?:value|number|sum|product|quotient|remainder|total|average"
    r"|mean|median|probability|area|volume|perimeter|distance|speed|length|width|height|weight|price|cost|population|percentage)"
    r"|calculate|compute|evaluate"
    r"|wie ?viele?|wie (?:alt|weit|hoch|lang)|berechne\w*|combien|calcule[rz]?|cu[aá]nt[oa]s?|calcula[r]?|quant[oaie]s?"
    r"|hoeveel|bereken|ile|oblicz|сколько|вычисли\w*|kaç)(?!\w)"
    r"|多少|几个|幾|計算|计算|いくつ|いくら|何(?:人|個|本|円|年|回|枚)|몇|얼마"
    r"|\d\s{0,2}[-+*/×÷^%]\s{0,2}\d",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    r"(?<!\w)(?:yes(?:/| or )no|true(?:/| or )false|ja(?:/| oder | of )nein?|oui(?:/| ou )non|s[ií](?:/| o )no|sì(?:/| o )no"
    r"|sim(?:/| ou )não|да(?:/| или )нет)(?!\w)|是否|是还是否|はいかいいえ|예/아니오",
    re.IGNORECASE,
)
_YES_NO_START = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might) (?!you(?!\w)|we(?!\w)|i(?!\w))",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]{1,400}[.!?]?")
_IS = r"(?<!\w)(?:is|are|was|were|ist|sind|war|est|sont|es|son|è|é|era|são)(?!\w)"
_VERB = re.compile(_IS, re.IGNORECASE)
_WHICH = re.compile(
    r"(?<!\w)(?:what|who|which|where|when|wer|was|welche[rs]?|wo|wann|quel(?:le)?s?|qui|où|quand|cuál(?:es)?|qué|quién|dónde|cuándo"
    rf"|qual[ei]?|chi|cosa|dove|quem|onde|wat|wie|welke?|waar)(?!\w)[^?\n]{{0,60}}?{_IS}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a multiple-choice question.

    Attributes:
        letters: "ABCD" for four.
        texts: what stands after each letter.
    """

    letters: str
    texts: tuple[str, ...]


def options_in(query: str) -> Options | None:
    """The options that a question shows: `(A) 3 (B) 4`, or a line for each, `A. 3`. None if it shows none.

    Their letters are A, B and so on, each once and in order, so that a dialogue of A and B is none.
    """
    query = plain_signs(query)
    for form, fewest in ((_LINE, 2), (_INLINE, 2), (_DOTTED, FEWEST_DOTTED)):
        labels = _in_order(list(form.finditer(query)))
        if len(labels) >= fewest:
            return Options(LETTERS[: len(labels)], tuple(_texts(query, labels)))
    return None


def labels_lines(text: str) -> bool:
    """Return True for a text in which lines begin with different letters of options: it goes through them."""
    return len({_letter(match).upper() for match in _LINE.finditer(text)}) > 1


def is_labelled(line: str) -> bool:
    """Return True for a line that begins with the letter of an option, followed by a text."""
    match = _LINE.match(line)
    return match is not None and bool(line[match.end() :].strip(" *_`.)"))


def asks_number(query: str) -> bool:
    """Return True if the question asks how many, how much, when, or for a result of arithmetic."""
    return _NUMBER.search(plain_signs(query)) is not None


def asks_yes_no(query: str) -> bool:
    """Return True if the question asks for yes or no, or true or false; a request ("could you ...") does not."""
    if _YES_NO.search(query):
        return True
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(query) if sentence.strip()]
    questions = [sentence for sentence in sentences if sentence.endswith("?")]
    return bool(questions) and all(_YES_NO_START.match(question) for question in questions[-1:])


def without_subject(answer: str, query: str) -> str:
    """What an answer says of the subject of the question, such as "Lima." of "The capital of Peru is Lima."

    The answer as it is where it does not begin with the words that follow the verb of the question.
    """
    asked = _WHICH.search(query)
    if asked is None:
        return answer
    subject = without_article(normalised(re.split(r"[?\n,;]", query[asked.end() :])[0]))
    for match in _VERB.finditer(answer):
        said = without_article(normalised(answer[: match.start()]))
        if said and said == subject and answer[match.end() :].strip():
            return answer[match.end() :].strip()
    return answer


def _letter(match: re.Match[str]) -> str:
    return str(match["any"] or match["capital"]) if "capital" in match.re.groupindex else str(match["any"])


def _in_order(found: list[re.Match[str]]) -> list[re.Match[str]]:
    """The matches that are A, B, C and so on, if none of these letters comes again; those before the first A do not count."""
    found = found[next((i for i, match in enumerate(found) if _letter(match) in "Aa"), len(found)) :]
    found = [match for match in found if _letter(match).isupper() == _letter(found[0]).isupper()]
    letters = [_letter(match).upper() for match in found]
    run = list(takewhile(lambda pair: pair[0] == pair[1], zip(letters, LETTERS, strict=False)))
    return [] if set(letters[len(run) :]) & set(letters[: len(run)]) else found[: len(run)]


def _texts(query: str, labels: list[re.Match[str]]) -> list[str]:
    ends = [*(match.start() for match in labels[1:]), len(query)]
    pairs = zip(labels, ends, strict=True)
    return [query[match.end() : end].strip().partition("\n")[0].strip(" ;,*_") for match, end in pairs]
