"""Reads RouterBench's tables (routerbench_0shot, routerbench_5shot) from parquet files, one row per question.

Columns: sample_id, prompt, eval_name, and for each model its score under the model's name, `NAME|model_response` and
`NAME|total_cost` (US dollars). A prompt is the printed form of a Python list: one part, several turns, or the few-shot
examples one by one before the question. RouterBench publishes pickled pandas DataFrames; the user converts them to parquet,
since reading a pickle can run code.
"""

import ast
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from router.data.importing.evaluation import Evaluation, Skipped
from router.data.importing.short_repr import short_repr
from router.data.parquet import column_names, read_columns
from router.errors import DataError

MAX_PRINTED_LIST = 4 << 20  # characters
_TEXT = r"""(?:'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
_PRINTED_LIST = re.compile(rf"\s*\[\s*{_TEXT}(?:\s*,\s*{_TEXT})*+\s*,?\s*\]\s*", re.DOTALL)  # of strings, not nested
COST, RESPONSE = "|total_cost", "|model_response"


def read(paths: Sequence[Path], last_part: bool = False) -> Iterator[Evaluation | Skipped]:
    """Evaluations of the files. An empty cell is an answer that was not graded.

    The benchmark is `eval_name`; `mmlu-anatomy` and other subjects count as `mmlu`. The parts of a prompt are joined by blank
    lines. With `last_part` only the last part is kept: the question, where the parts before it are worked examples.

    Raises:
        DataError: a pickle, or not a readable parquet file; no column prompt, eval_name or of a model; a prompt or eval_name
            that is not text.
    """
    for path in paths:
        yield from _read_file(path, last_part)


def _read_file(path: Path, last_part: bool) -> Iterator[Evaluation | Skipped]:
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise DataError(_pickle_message(path))
    columns = column_names(path)
    models = _models(path, columns)
    costs = [name + COST for name in models if name + COST in columns]
    table = read_columns(path, ["prompt", "eval_name", *models, *costs])
    prompts, names = table["prompt"].to_pylist(), table["eval_name"].to_pylist()
    questions = [_question(_text(f"{path}: row {i}", "prompt", prompt), last_part) for i, prompt in enumerate(prompts)]
    tasks = [_text(f"{path}: row {i}", "eval_name", name) for i, name in enumerate(names)]
    for model in models:
        scores = table[model].to_pylist()
        usd = table[model + COST].to_pylist() if model + COST in costs else [None] * len(scores)
        for row, score in enumerate(scores):
            if score is None or score != score:
                yield Skipped("empty cells")
                continue
            benchmark = _benchmark(tasks[row])
            category = tasks[row] if tasks[row] != benchmark else ""
            location = f"{path}: row {row}"
            yield Evaluation(model, questions[row], score, benchmark, location, category, usd=_dollars(usd[row]))


def _pickle_message(path: Path) -> str:
    return (
        f"{path}: a pickled table is not read, because unpickling a file can run code that is in it. If you trust its source, "
        f"convert it: python -c \"import pandas; pandas.read_pickle('{path.name}')"
        f".to_parquet('{path.with_suffix('.parquet').name}')\""
    )


def _models(path: Path, columns: Sequence[str]) -> list[str]:
    missing = [name for name in ("prompt", "eval_name") if name not in columns]
    if missing:
        raise DataError(f"{path}: column {', '.join(missing)} is missing; it has {', '.join(columns)}")
    models = [name for name in columns if name + COST in columns or name + RESPONSE in columns]
    if not models:
        raise DataError(f"{path}: no column NAME beside NAME{COST}; it has {', '.join(columns)}")
    return models


def _benchmark(eval_name: str) -> str:
    return "mmlu" if eval_name.startswith("mmlu-") else eval_name


def _text(location: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise DataError(f"{location}: {name} is {short_repr(value)}, expected text")
    return value


def _question(printed: str, last_part: bool) -> str:
    """`"['Hello.', 'And now?']"` -> "Hello.\\n\\nAnd now?"; a text that is not a printed list of strings stays as it is."""
    if len(printed) > MAX_PRINTED_LIST or _PRINTED_LIST.fullmatch(printed) is None:
        return printed
    try:
        parts = ast.literal_eval(printed.strip())
    except (ValueError, SyntaxError):
        return printed
    return str(parts[-1]) if last_part else "\n\n".join(parts)


def _dollars(value: object) -> float | None:
    """The stated cost, or None where it is not a finite number of 0 or more."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
