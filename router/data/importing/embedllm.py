"""Reads the EmbedLLM correctness data: train.csv, val.csv and test.csv, one row per (prompt, model).

Columns as published (huggingface.co/datasets/RZ412/EmbedLLM): prompt_id, model_id, category_id, label, prompt, model_name,
category. If `prompt` or `model_name` is absent, it is looked up in question_order.csv or model_order.csv beside the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from router.data.importing.evaluation import Evaluation
from router.data.importing.lines import csv_rows
from router.data.importing.prompt import SPLIT_SHARES
from router.data.importing.short_repr import short_repr
from router.errors import DataError

# Categories are task names of lm-evaluation-harness. These two benchmarks have a task for each subject or variant.
FAMILIES = ("mmlu", "gpqa")


def read(paths: Sequence[Path]) -> Iterator[Evaluation]:
    """Evaluations of the files, or of train.csv, val.csv and test.csv in a folder.

    A file whose name starts with train, val or test states that split. The benchmark is the category (`mmlu_anatomy` and the
    like count as `mmlu`), or `embedllm` without one.

    Raises:
        DataError: as for `csv_rows`; a folder without any of the files; a prompt or model that no file names.
    """
    for path in _files(paths):
        texts = _Lookup(path.with_name("question_order.csv"), "prompt_id", "prompt")
        models = _Lookup(path.with_name("model_order.csv"), "model_id", "model_name")
        split = next((name for name, _ in SPLIT_SHARES if path.stem.lower().startswith(name)), None)
        for location, row in csv_rows(path, ("label",)):
            task = row.get("category", "").strip()
            benchmark = _benchmark(task)
            yield Evaluation(
                models.of(location, row),
                texts.of(location, row),
                row["label"],
                benchmark,
                location,
                task if task != benchmark else "",
                split,
            )


def _benchmark(task: str) -> str:
    family = task.split("_", 1)[0]
    return family if family in FAMILIES else task or "embedllm"


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [path / f"{split}.csv" for split, _ in SPLIT_SHARES if (path / f"{split}.csv").is_file()]
        if not found:
            raise DataError(f"{path}: none of train.csv, val.csv, test.csv is in the folder")
        yield from found


class _Lookup:
    """Finds a row's value: in its column `value`, or by its `key` in another file, which is read when it is first needed."""

    def __init__(self, path: Path, key: str, value: str) -> None:
        self._path, self._key, self._value = path, key, value
        self._by_key: Mapping[str, str] | None = None

    def of(self, location: str, row: Mapping[str, str]) -> str:
        if self._value in row:
            return row[self._value]
        if self._key not in row:
            raise DataError(
                f"{location}: neither {self._value} nor {self._key} is a column; there are {', '.join(row)}"
            )
        if self._by_key is None:
            self._by_key = self._read(location)
        try:
            return self._by_key[row[self._key]]
        except KeyError:
            raise DataError(f"{location}: {self._key} {short_repr(row[self._key])} is not in {self._path}") from None

    def _read(self, location: str) -> Mapping[str, str]:
        if not self._path.is_file():
            raise DataError(f"{location}: there is no column {self._value}, and no {self._path} to look it up in")
        return {row[self._key]: row[self._value] for _, row in csv_rows(self._path, (self._key, self._value))}
