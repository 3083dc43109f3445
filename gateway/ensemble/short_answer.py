"""A stated answer in one form: a number, a term of mathematics, or a few words.

Two answers with one form say the same thing. Where that is not certain the forms differ: one more call is cheaper than a vote
that counts two different answers as one.
"""

import re

from gateway.ensemble.key import Key
from router.probes.checkers.number import LIST_MARK, canonical_number
from router.probes.checkers.number_text import Number, numbers_in
from router.probes.checkers.short_text import normalised, without_article

MOST_CHARACTERS = 64
MOST_SENTENCE_WORDS = 12
MOST_LEFT_WORDS = 3  # before a sign of equality, or of all: "about 3 km"
LONGEST_SEARCHED = 600  # characters with markup; longer ones are no short answer

_MARKUP = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|boxed|left|right|displaystyle|[,;:! ()\[\]])|[*`${}#]|(?<!\w)_{1,2}|_{1,2}(?!\w)"
)
_RELATION = re.compile(r"[=≈≃≅→⇒]|\\approx|\\Rightarrow|\\to")
_SEVERAL = re.compile(
    r"[,;]\s|[±]|\\pm|\\neq?|[≠<>≤≥]|\\[lg]eq?(?!\w)|(?<!\w)(?:and|or|und|oder|et|ou|y|o|e|и|или|to|bis)(?!\w)|[和或及と]",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"\W{0,8}(?:about|approximately|approx\.?|around|roughly|circa|ca\.|etwa|ungefähr|environ|约|約)?\W{0,8}",
    re.IGNORECASE,
)
_UNIT = re.compile(r"(?:[^\W\d_]{2,20}|[mgshJNWVAKlL])(?:(?:/|\sper\s|\s)(?:[^\W\d_]{1,20}))?[²³23]?")
_CJK_UNIT = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{1,8}")
_NO_UNIT = re.compile(r"pi|sqrt|sin|cos|tan|log|ln|exp|x+|e|i|π", re.IGNORECASE)
_EDGES = " .,:;!?\"')]"
_LATEX_UNIT = re.compile(r"(?<=[\d}])(?:\\[,; ]|\s){0,2}\\(?:text|mathrm)\{[^{}\d]{1,20}\}(?:\^\{?[23]\}?)?(?=\W*$)")
_IS = re.compile(r"[=≈→⇒]|(?<!\w)(?:is|are|equals|ist|sind|beträgt|est|es|è|é)(?!\w)", re.IGNORECASE)
_COPULA = re.compile(r"(?:です|である|입니다|이다)$")
_REMARK = re.compile(r"\s\((?=[^()]*(?:[^\W\d_]{2}|=))[^()]*\)\s*[.!]?$")

_SENTENCE_END = re.compile(
    r"(?<=[^\W\d_A-Z]{4})[*_\"')\]`]{0,4}[.!?][*_\"')\]`]{0,4}\s+(?=\W{0,3}[A-Z])|[。！？!?]\s*(?=\S)"
)
_NUMBER_END = re.compile(r"(?<=\d)[*_\"')\]`$]{0,4}[.!?;][*_\"')\]`$]{0,4}\s+(?=\W{0,3}[A-Z])")
_REASON = re.compile(
    r"[,;:]?\s(?:because|since|weil|denn|parce que|car|porque|perché|omdat|потому что)\s"
    r"|[,;]\s(?:not|as|nicht|da|pas|non|no|niet|а не|which|who|und nicht)\s|\s—\s|\s–\s(?!\d)",
    re.IGNORECASE,
)
_MATHS = re.compile(
    r"\\[a-zA-Z]|[\^√π∞=±<>≤≥∪∩∈]|\d[a-zA-Z](?![a-zA-Z])|^\W{0,3}-\s?(?:\d|[a-zA-Z]\s?(?:$|[-+*/^=(]))|\w\(\w|[)\w]\s?[+*/·]\s?[(\w]"
    r"|^\s{0,3}[(\[][^()\[\]]*,[^()\[\]]*[)\]]"
)
_SYMBOLS = {
    "pi": "π", "infty": "∞", "theta": "θ", "alpha": "α", "beta": "β", "gamma": "γ", "lambda": "λ", "mu": "μ", "sigma": "σ",
    "omega": "ω", "phi": "φ", "cup": "∪", "cap": "∩", "in": "∈", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "pm": "±", "cdot": "·", "times": "·", "circ": "°", "to": "→", "approx": "≈",
}  # fmt: skip
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_FRACTION = re.compile(r"\\[dtc]?frac\s?(?:\{([^{}]*)\}|(\w))\s?(?:\{([^{}]*)\}|(\w))")
_ROOT = re.compile(r"(?:\\sqrt|√|(?<![a-z])sqrt)\s?(?:\{([^{}]*)\}|\(([^()]*)\)|(\d+|[a-zA-Z]))")
_SCRIPT = re.compile(r"([\^_])\s?\{([^{}]*)\}")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s?\{([^{}]*)\}")
_DROPPED = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|boxed)(?![a-zA-Z])|\\[,;:! ()\[\]]|[$`]|\*\*")
_FUNCTION = re.compile(r"(?<![a-z])(ln|log|sin|cos|tan|exp)\((\d+|[a-z])\)(?!\w)")
_LEFT_SIDE = re.compile(r"^[a-z]'?(?:\([a-z]\))?=(?=[^=]+$)")


def short_answer(text: str, *, asks_number: bool = False) -> Key | None:
    """The key of an answer that is stated alone; None if it is longer than 64 characters, or empty.

    Args:
        text: with plain signs, without a sign that marks it as the answer.
        asks_number: the question asks for a number: a unit after it does not count.
    """
    if len(text) > LONGEST_SEARCHED:
        return None
    number = bare_number(text, with_unit=asks_number)
    return Key("number", canonical_number(number.value)) if number is not None else _words(text)


def bare_number(text: str, *, with_unit: bool = False) -> Number | None:
    """The number if the text is nothing but one: "**42.**", "$1,234", "x = 42", "about 42", "42 (not 43)", "1/3 ≈ 0.33".

    Args:
        with_unit: a unit or a thing that is counted may follow: "42 km", "3 red apples".
    """
    if len(text) > LONGEST_SEARCHED:
        return None
    text = _LATEX_UNIT.sub("", _REMARK.sub("", LIST_MARK.sub("", text))).strip()
    equal = _RELATION.split(text)
    exact = _alone(equal[0], with_unit) if re.search(r"≈|≃|≅|\\approx", text) else None
    if exact is not None:
        return exact
    several = _SEVERAL.search(text) is not None or len(equal[0].split()) > MOST_LEFT_WORDS
    return None if several else _alone(equal[-1], with_unit)


def number_in_sentence(text: str) -> Number | None:
    """The number of a short sentence that has only one, or only one in bold: "She has **12** apples left." """
    if len(text) > LONGEST_SEARCHED:
        return None
    bold = re.findall(r"\*\*([^*\n]{1,60})\*\*", text)
    if len(bold) == 1 and (number := bare_number(bold[0], with_unit=True)) is not None:
        return number
    numbers = numbers_in(LIST_MARK.sub("", text))
    if len(numbers) == 1 and len(text.split()) <= MOST_SENTENCE_WORDS and not re.search(r"±|\\pm", text):
        return numbers[0]
    *before, last = _IS.split(text)
    return bare_number(last, with_unit=True) if before else None


def _alone(text: str, with_unit: bool) -> Number | None:
    numbers = numbers_in(text)
    if len(numbers) != 1:
        return None
    number = numbers[0]
    after = text[number.end :]
    digits = text[number.start : number.end].lstrip(" -+$")
    if re.match(r"0\d", digits):  # a code, such as 02139
        return None
    if _ABOUT.fullmatch(_MARKUP.sub("", text[: number.start])) is None or re.match(r"\^?\\circ|°|!|'", after.strip()):
        return None
    rest = _COPULA.sub("", _MARKUP.sub("", after).strip(_EDGES))
    if not rest:
        return number
    glued = after[:1].isalpha() and after[0].isascii()
    is_unit = _CJK_UNIT.fullmatch(rest) or (_UNIT.fullmatch(rest) and not _NO_UNIT.fullmatch(rest.split()[0]))
    return number if with_unit and is_unit and not (glued and len(rest) == 1) else None


def main_clause(text: str) -> str:
    """A stated answer without what follows it: the next sentence, a reason, a remark. "Canberra, not Sydney." says "Canberra"."""
    said = text
    for end in (_SENTENCE_END, _NUMBER_END, _REASON):
        match = end.search(said)
        said = said if match is None else said[: match.start()]
    return said if any(sign.isalnum() for sign in said) else text


def _words(text: str) -> Key | None:
    if _MATHS.search(_TEXT.sub(r"\1", text)):
        form = maths(text)
    else:
        said = _REMARK.sub("", text)
        form = without_article(normalised(said if any(sign.isalnum() for sign in said) else text))
        form = _COPULA.sub("", form) or form
    countable = len(form) <= MOST_CHARACTERS and any(sign.isalnum() or sign in "∞∅" for sign in form)
    return Key("short", form) if countable else None


def maths(text: str) -> str:
    r"""A term in one form: without spaces, `\frac{\pi}{2}` and `π/2` alike. Signs and brackets count: (1, 2] is not [1, 2)."""
    text = _DROPPED.sub("", _TEXT.sub(r"\1", text))
    for _ in range(4):  # nested ones from the inside
        text = _ROOT.sub(lambda match: "√" + _grouped(match[1] or match[2] or match[3] or ""), text)
        text = _SCRIPT.sub(lambda match: match[1] + _grouped(match[2]), text)
        text = _FRACTION.sub(_quotient, text)
    text = _COMMAND.sub(lambda match: _SYMBOLS.get(match[1], match[1]), text)
    text = re.sub(r"(?<![a-z])pi(?![a-z])", "π", text.casefold().replace("infinity", "∞"))
    text = re.sub(r"[\s{}\\]", "", text).strip(".,;:\"'*_").replace("**", "^").replace("*", "·").replace("^°", "°")
    text = _FUNCTION.sub(r"\1\2", text)
    return _LEFT_SIDE.sub("", re.sub(r"(?<=\d)·(?=[a-zπ√(])", "", text))


def _quotient(match: re.Match[str]) -> str:
    """A fraction on one line; after a factor with a sign between them, so that 2·(1/3) is not 21/3."""
    above, below = match[1] or match[2] or "", match[3] or match[4] or ""
    factor = match.string[: match.start()].rstrip()[-1:].isalnum()
    return f"{'·' if factor else ''}{_grouped(above)}/{_grouped(below)}"


def _grouped(term: str) -> str:
    """In brackets, unless it is one number or one letter: 1/(2x) is not (1/2)x."""
    term = term.strip()
    return term if re.fullmatch(r"\d+|[^\W\d_]|\\[a-zA-Z]+", term) else f"({term})"
