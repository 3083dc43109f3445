r"""The checker `choice`: the letter that an answer chooses: "B", "(B) Paris", "**B**", "\boxed{\text{B}}", "The answer is B." """

import re
import string

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.final_part import EXPLICIT, parts
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


def check_choice(spec: CheckerSpec, text: str, reference: JsonValue) -> Extracted:
    """Compares the chosen letter of a visible text. The canonical form is the capital letter."""
    texts = spec.strings("options")
    letters = letters_of(spec)
    letter, explicit = chosen_letter(text, letters, texts)
    return Extracted(letter, explicit, letter is not None and letter == reference)


def letters_of(spec: CheckerSpec) -> str:
    """The letters of the options: "ABCD" for four."""
    options = spec.options.get("options", DEFAULT_OPTIONS)
    count = len(options) if isinstance(options, list) else options
    return string.ascii_uppercase[: count if isinstance(count, int) else DEFAULT_OPTIONS]


def chosen_letter(text: str, letters: str, options: list[str] | None = None) -> tuple[str | None, bool]:
    """The letter that an answer chooses, and whether it says so explicitly; (None, False) if it chooses none, or several.

    Args:
        letters: those of the options, such as "ABCD".
        options: the texts of the options, if known: an answer may give the text alone.
    """
    text = plain_signs(text)
    for part in parts(text):
        letter = _leading_letter(part.text, letters, strict=part.kind in ("line", "bold")) or _option(
            part.text, letters, options
        )
        if letter is None and part.kind == "marked":
            letter = _single(part.text, letters)
        if letter is not None:
            return letter, part.kind in EXPLICIT
    chosen = [match["letter"] for match in _CHOSEN.finditer(text) if match["letter"] in letters]
    if chosen:
        return chosen[-1], False
    return _single(text, letters), False


def _leading_letter(text: str, letters: str, *, strict: bool) -> str | None:
    """The letter with which a part starts. A capital without brackets may also be a word: "A dog", "I think".

    Args:
        strict: the part says by nothing but its place that it is the answer: a letter there needs a sign behind it, or to be
            alone.
    """
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
    if (match["next"] and match["next"] in "'-+/&") or _another_letter(rest, letters):
        return None
    alone = not rest.strip(".,:;!)")
    if alone or wrapped or rest[0] in ".:,;)—–" or (not strict and letter not in "AI"):
        return letter.upper()
    return None


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
