r"""The checker `choice`: the letter that an answer chooses: "B", "(B) Paris", "**B**", "\boxed{\text{B}}", "The answer is B." """

import re
import string

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.final_part import Part, parts
from router.probes.checkers.short_text import normalised
from router.probes.checkers.visible import plain_signs
from router.probes.json_types import JsonValue

DEFAULT_OPTIONS = 26
_WRAP = r"[\s*_`$({\[\"'<]{0,8}(?:\\(?:text|textbf|mathbf|mathrm|bf|rm)[ ]?\{?[\s*({]{0,4})?"
_NAMES = r"option|choice|answer|letter|möglichkeit|réponse|opción|opzione|opção|вариант|选项|選択肢"
_NAMED = rf"(?:(?:the|la|le|el|il|die|het)[ ])?(?:(?:{_NAMES})[ ]{{0,2}})?"
_LETTER = re.compile(
    rf"{_WRAP}{_NAMED}{_WRAP}(?P<letter>[A-Za-z])(?P<after>[\s*_`$)}}\]\"'>]{{0,8}})(?P<next>.?)", re.IGNORECASE
)
_MENTION = re.compile(
    rf"(?:\(|\*\*\(?|(?<!\w)(?:{_NAMES})[ ]?\(?)"
    r"(?P<letter>[A-Z])(?![\w'])"
)
_CHOSEN = re.compile(
    r"(?:(?<!\w)(?:leav(?:es|ing)(?: us with)?|choose|pick|select|go with|it is|it's|(?:option|choice) is|is correct:?"
    r"|wähle|choisis|elijo|scelgo|escolho)|选择?|選ぶ)"
    r"[ ]{0,2}(?:only[ ])?(?:option[ ]|choice[ ])?[(*\"]{0,3}(?P<letter>[A-Z])(?![\w'])"
)


_SAID_OF = re.compile(
    r"(?:is|ist|est|es|è|é|to|is|because|since|as|weil|car|porque|perché|want|omdat|so|für|for|这|是|です|입니다|이다)(?!\w)|です|입니다",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:is|ist|est|es|è|é|can be|would be|was)\s{1,4}"
    r"(?:not|n't|incorrect|wrong|false|out|nicht|falsch|pas|faux|incorrecta|sbagliata|errada|ruled|eliminated)",
    re.IGNORECASE,
)
_LAST = re.compile(r"(?<![\w'])[(\[*\"]{0,4}(?P<letter>[A-Z])[)\]*\"]{0,4}[.!]{0,2}\s*$")
_NOT_ALONE = re.compile(
    r"(?:[A-Z](?:\W{0,4}[,&/和或]|\W{1,4}(?:and|or|und|oder|et|ou|y|o|e))|(?<!\w)(?:not|nicht|pas|no|non|niet|не))\s{0,3}\W{0,4}$"
)


def check_choice(spec: CheckerSpec, text: str, reference: JsonValue) -> Extracted:
    """Compares the chosen letter of a visible text. The canonical form is the capital letter."""
    texts = spec.strings("options")
    letters = letters_of(spec)
    letter, complete = chosen_letter(text, letters, texts)
    return Extracted(letter, complete, letter is not None and letter == reference)


def letters_of(spec: CheckerSpec) -> str:
    """The letters of the options: "ABCD" for four."""
    options = spec.options.get("options", DEFAULT_OPTIONS)
    count = len(options) if isinstance(options, list) else options
    return string.ascii_uppercase[: count if isinstance(count, int) else DEFAULT_OPTIONS]


def chosen_letter(text: str, letters: str, options: list[str] | None = None) -> tuple[str | None, bool]:
    """The letter that an answer chooses, and whether text follows after it said so; (None, False) if it chooses none, or several.

    Args:
        letters: those of the options, such as "ABCD".
        options: the texts of the options, if known: an answer may give the text alone.
    """
    text = plain_signs(text)
    for part in parts(text):
        letter = _leading_letter(part, letters) or _option(part.text, letters, options)
        if letter is None and part.kind == "marked":
            letter = _single(part.text, letters)
        if letter is not None:
            return letter, part.complete
    chosen = [match["letter"] for match in _CHOSEN.finditer(text) if match["letter"] in letters]
    if chosen:
        return chosen[-1], False
    return _single(text, letters) or _last_letter(text, letters), False


def _leading_letter(part: Part, letters: str) -> str | None:
    """The letter with which a part starts.

    Where the text does not say that the part is its answer, the letter stands alone, or a sign or a verb follows: it may be a
    word, as in "A dog" or "C programmers".
    """
    kind, text = part.kind, part.text
    match = _LETTER.match(text)
    if match is None:
        return None
    letter, marks = match["letter"], text[: match.end("after")].replace(match["letter"], "")
    rest = text[match.end("after") :].strip()
    wrapped = bool(match["after"].strip()) or "\\" in marks
    if not letter.isupper() and rest.strip(".") and ")" not in match["after"]:
        return None
    if letter.upper() not in letters or (match["next"].isalnum() and match["next"] < "\u3000" and not match["after"]):
        return None
    if (match["next"] and match["next"] in "'-+/&") or _another_letter(rest, letters) or _DENIED.match(rest):
        return None
    if not rest.strip(".,:;!)") or wrapped or rest[0] in ".:,;)—–":
        return letter.upper()
    said_of = _SAID_OF.match(rest) is not None and letter not in "AI"
    return letter.upper() if kind in ("boxed", "marked") or (kind == "whole" and said_of) else None


def _another_letter(rest: str, letters: str) -> bool:
    """Return True for what follows the A in "A and C" or "A, C"."""
    match = re.match(r"(?:,|and|or|und|oder|et|ou|y|o|e|&|/|和|或)\s{0,3}(?:or|and)?\s{0,3}\(?([A-Z])(?![\w'])", rest)
    return match is not None and match[1] in letters


def _option(text: str, letters: str, options: list[str] | None) -> str | None:
    """The letter of the option whose text the part is; of options that contain each other, the longest."""
    said = normalised(text)
    if not options or not said:
        return None
    forms = [normalised(option) for option in options]
    if said in forms:
        return letters[forms.index(said)]
    within = [form for form in forms if form and re.search(rf"(?<!\w){re.escape(form)}(?!\w)", said)]
    longest = [form for form in within if not any(form != other and form in other for other in within)]
    return (
        letters[forms.index(longest[0])]
        if len(longest) == 1 and len(said.split()) <= len(longest[0].split()) + 8
        else None
    )


def _single(text: str, letters: str) -> str | None:
    """The letter that a text mentions as an option, if it mentions one only."""
    found = {match["letter"] for match in _MENTION.finditer(text)} & set(letters)
    return found.pop() if len(found) == 1 else None


def _last_letter(text: str, letters: str) -> str | None:
    """The letter with which the last or the first line ends: "The opposite is B." """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    for line in (*lines[-1:], *lines[:1]):
        match = _LAST.search(line)
        if match and match["letter"] in letters and not _NOT_ALONE.search(line[: match.start()]):
            return match["letter"]
    return None
