"""RouterBench's tables (routerbench_0shot.pkl, routerbench_5shot.pkl): a pickled DataFrame, one row per question.

Columns: sample_id, prompt, eval_name, and for each model its score under the model's name, `NAME|model_response` and
`NAME|total_cost` (US dollars). A prompt is the printed form of a Python list: one part, several turns, or the few-shot
examples one by one before the question.
"""

import ast
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from router.data.importing.evaluation import Evaluation, LeftOut
from router.data.importing.frame import Frame, read_frame
from router.data.importing.shown import shown
from router.errors import DataError

LONGEST_PRINTED = 4 << 20  # characters
_TEXT = r"""(?:'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
_PRINTED = re.compile(
    rf"\s*\[\s*{_TEXT}(?:\s*,\s*{_TEXT})*+\s*,?\s*\]\s*", re.DOTALL
)  # a list of texts: nothing nested
SUFFIXES = ("|total_cost", "|model_response")


def read(paths: Sequence[Path], last_part: bool = False) -> Iterator[Evaluation | LeftOut]:
    """Evaluations of the files; an empty cell is an answer that was not graded.

    The benchmark is `eval_name` (`mmlu-anatomy` and the like count as `mmlu`). A prompt of several parts is joined by blank
    lines, or with `last_part` reduced to its last: the question, where the parts before are worked examples.

    Raises:
        DataError: as for `read_frame`; no column prompt, eval_name or of a model; a prompt or eval_name that is no text.
    """
    for path in paths:
        frame = read_frame(path)
        models = _models(path, frame)
        questions = [
            _question(_text(f"{path}: row {i}", "prompt", p), last_part) for i, p in enumerate(frame.column("prompt"))
        ]
        names = [_text(f"{path}: row {i}", "eval_name", name) for i, name in enumerate(frame.column("eval_name"))]
        for model in models:
            cost = model + SUFFIXES[0]
            costs = frame.column(cost) if cost in frame.columns else [None] * frame.rows
            for row, (score, usd) in enumerate(zip(frame.column(model), costs, strict=True)):
                if score is None or score != score:
                    yield LeftOut("empty cells")
                else:
                    benchmark = _benchmark(names[row])
                    yield Evaluation(
                        model,
                        questions[row],
                        score,
                        benchmark,
                        f"{path}: row {row}",
                        names[row] if names[row] != benchmark else "",
                        usd=_dollars(usd),
                    )


def _models(path: Path, frame: Frame) -> list[str]:
    missing = [name for name in ("prompt", "eval_name") if name not in frame.columns]
    if missing:
        raise DataError(f"{path}: column {', '.join(missing)} is missing; it has {', '.join(frame.columns)}")
    models = [c for c in frame.columns if any(c + suffix in frame.columns for suffix in SUFFIXES)]
    if not models:
        raise DataError(f"{path}: no column NAME beside NAME{SUFFIXES[0]}; it has {', '.join(frame.columns)}")
    return models


def _benchmark(eval_name: str) -> str:
    return "mmlu" if eval_name.startswith("mmlu-") else eval_name


def _text(place: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {shown(value)}, expected text")
    return value


def _question(printed: str, last_part: bool) -> str:
    """`"['Hello.', 'And now?']"` -> "Hello.\\n\\nAnd now?"; what is no printed list of texts stays as it is."""
    if len(printed) > LONGEST_PRINTED or _PRINTED.fullmatch(printed) is None:
        return printed
    try:
        parts = ast.literal_eval(printed.strip())
    except (ValueError, SyntaxError):
        return printed
    return str(parts[-1]) if last_part else "\n\n".join(parts)


def _dollars(value: Any) -> float | None:
    """A stated cost; what is no finite number of dollars is no cost."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
