r"""The part of an answer that states the result: `\boxed{42}`, "Answer: 42", "#### 42", "**42**", or a line of its own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["whole", "boxed", "marked", "line", "bold"]
MOST_PARTS = 12  # of a kind, the last ones

_ANSWER = (
    r"answers?|ans[.]?|antwort|réponse|respuesta|resposta|risposta|antwoord|svar(?:et)?|odpowied[źz]|odpověď|cevap|jawaban|"
    r"ответ|відповідь|đáp án|câu trả lời|उत्तर|الجواب|الإجابة|התשובה"
)
_RESULT = (
    r"results?|solution|output|options?|choice|correct|richtig|вариант|ergebnis|lösung|ausgabe|résultat|solution|sortie|resultado|solución|salida|opción|"
    r"risultato|soluzione|solução|uitkomst|resultat|wynik|sonuç|hasil|результат|kết quả|परिणाम|النتيجة"
)
_IS = (
    r"is|are|was|would be|should be|must be|ist|lautet|wäre|est|es|é|è|sería|seria|is dus|är|er|jest|to|là|adalah|है|هو|هي|היא|"
    r"будет|равен|—|-"
)
_GAP = r"[ \t*_\"'»]{0,6}"
_WORDS = r"(?: [\w'()%,]{1,30}){0,8}?"
_MARKER = re.compile(
    rf"(?<!\w)(?:{_ANSWER})(?!\w)(?:{_WORDS}{_GAP}(?:[:=→]|(?<!\w)(?:{_IS})(?!\w){_GAP}:?))"
    rf"|(?P<result>(?<!\w)(?:{_RESULT})(?!\w)(?:{_WORDS}{_GAP}[:=→]))"
    rf"|(?:答案|答え|答えは|解答|正解|回答|结果|結果|정답|답){_GAP}(?:应该是|應該是|是|为|為|就是|应为|は|が|은|는|이)?{_GAP}[:]?"
    r"|^[ \t]{0,4}####",
    re.IGNORECASE | re.MULTILINE,
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,4}\{")
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*|__([^_\n]{1,200})__")
_NEGATED = re.compile(
    r"[ \t*]{0,6}(?:(?:not|never|nicht|keine?|pas|no|non|não|niet|inte|nie|не)(?!\w)|不是|ではない)", re.IGNORECASE
)
_DECORATION = re.compile(r"^\s{0,8}(?:#{1,6}\s+|>\s{0,4}|[-*•]\s+)")
_EMPTY = " \t`$*_:\\[]"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer, and how it was found.

    Attributes:
        complete: more text follows, so that the part was not cut.
        marker: of a marked part: what marks it, such as "answer is".
        marker_start: where that stands in the text.
        names_answer: the marker has a word for "answer", not only one for "result".
    """

    kind: Kind
    text: str
    complete: bool = False
    marker: str = ""
    marker_start: int = 0
    names_answer: bool = False

    @property
    def says_so(self) -> bool:
        """The text says that this is its result, or is nothing else."""
        return self.kind in ("whole", "boxed", "marked")


def parts(text: str) -> Iterator[Part]:
    """The parts that may state the result, those that say so first; of equal ones the last first.

    Takes visible text with plain signs.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip(_EMPTY)]
    marked = _marked(text)
    in_boxes = boxed(text)
    if len(lines) == 1 and not marked and not in_boxes:
        yield Part("whole", lines[0])
    yield from (Part("boxed", part, complete=True) for part in reversed(in_boxes))
    yield from reversed(marked)
    if len(lines) > 1:
        yield Part("line", _DECORATION.sub("", lines[-1]))
        yield Part("line", _DECORATION.sub("", lines[0]), complete=True)
    bold = [first or second for first, second in _BOLD.findall(text)[-MOST_PARTS:]]
    yield from (Part("bold", part) for part in reversed(bold))


def boxed(text: str) -> list[str]:
    """The contents of all boxes of LaTeX, in order."""
    found = []
    for match in list(_BOX.finditer(text))[-MOST_PARTS:]:
        depth = 1
        for end in range(match.end(), min(len(text), match.end() + 1_000)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                found.append(text[match.end() : end])
                break
    return found


def _marked(text: str) -> list[Part]:
    """What follows each marker: the rest of its line, or the next line that is not empty."""
    found = []
    for match in list(_MARKER.finditer(text))[-MOST_PARTS:]:
        line, ends, following = text[match.end() : match.end() + 2_000].partition("\n")
        if not line.strip(_EMPTY):
            lines = following.split("\n")[:7]
            place = next((i for i, item in enumerate(lines) if item.strip(_EMPTY)), None)
            line, ends = ("", "") if place is None else (lines[place], "\n" if place + 1 < len(lines) else "")
        denied = (
            _NEGATED.match(line) and match[0][-1] not in ":=→#"
        )  # "Answer: no" is an answer, "the answer is no 3" is none
        if line.strip(_EMPTY) and not denied:
            said, names_answer = line.strip().lstrip("*_: ").strip(), match["result"] is None
            found.append(Part("marked", said, bool(ends), match[0], match.start(), names_answer))
    return found
