"""The visible answer: without what a model thought before it, and with one form for signs that look alike."""

import re
import unicodedata

MOST_CHARACTERS = 20_000
"""Of an answer that is searched; of a longer one the first and the last half of that."""

_TAGS = "think|thinking|thought|reasoning|reflection|scratchpad|analysis|seed:think"
_START = re.compile(rf"<(?:{_TAGS})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>", re.IGNORECASE)
_END = re.compile(
    rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>", re.IGNORECASE
)
_SPECIAL = re.compile(r"<\|[a-z_]{2,30}\|>")
_ANSWER = re.compile(r"<(?:final_)?answer>", re.IGNORECASE)
_ANSWER_END = re.compile(r"</(?:final_)?answer>", re.IGNORECASE)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_SIGNS = {" ": "\u3000\u00a0\u202f\u2007\u2009", "-": "−‐‑‒﹣", '"': "“”„«»『』「」", "'": "‘’‚´"} | {
    ".": "。٫",
    ",": "、٬",
    "%": "٪",
}
_LIKE: dict[int, str] = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width signs
    **{ord(sign): plain for plain, signs in _SIGNS.items() for sign in signs},
}


def visible(text: str) -> str:
    """The answer that a user sees: without reasoning. Empty if there is nothing but reasoning that was cut.

    Of text with `<answer>` tags, the last such part.
    """
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS // 2] + "\n" + text[-MOST_CHARACTERS // 2 :]
    ends = [match.end() for match in _END.finditer(text)]  # templates of some models open the tag in the prompt
    after = text[ends[-1] :] if ends else text
    start = _START.search(after if after.strip() else text)
    shown = (after if after.strip() else text)[: start.start() if start else None]
    shown = _INVISIBLE.sub("", _SPECIAL.sub("", shown))
    answers = [match.end() for match in _ANSWER.finditer(shown)]
    if answers:
        shown = _ANSWER_END.split(shown[answers[-1] :])[0]
    return shown.strip()


def plain_signs(text: str) -> str:
    """One form for spaces, minus signs, quotation marks, full-width signs and the digits of all scripts."""
    text = text.translate(_LIKE)
    if text.isascii():
        return text
    return "".join(str(unicodedata.digit(sign)) if unicodedata.category(sign) == "Nd" else sign for sign in text)


_FENCE = re.compile(r"```[ \t]*(?P<tag>[\w+#.-]*)[ \t]*\n(?P<content>.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_NO_CODE = frozenset({"", "text", "txt", "plaintext", "plain", "output", "console", "latex", "math", "markdown", "md"})


def fenced(text: str) -> list[str]:
    """The contents of code fences, in order; the last one may be open, if the text was cut."""
    return [match["content"].strip("\n") for match in _FENCE.finditer(text)]


def unfenced(text: str) -> str:
    """The text; of one that is nothing but a code fence, its content."""
    text = text.strip()
    match = _FENCE.fullmatch(text)
    if match:
        return match["content"].strip("\n")
    return text.strip("`").strip() if text.startswith("```") and "\n" not in text else text


def without_code(text: str) -> str:
    """The text without the contents of code fences, which become "```...```"; one line of plain text loses only its fence."""

    def shown(match: re.Match[str]) -> str:
        content = match["content"].strip()
        return content if match["tag"].lower() in _NO_CODE and "\n" not in content else "```...```"

    return _FENCE.sub(shown, text)
