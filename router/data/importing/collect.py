"""Checks and collects the evaluations of a reader. Equal texts become one query; several scores of one pair are averaged."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import SPLITS
from router.data.importing.evaluation import Evaluation, Skipped
from router.data.importing.prompt import normalise_prompt, strictest_split
from router.data.importing.short_repr import short_repr
from router.errors import DataError

REPORT_EVERY = 10_000


@dataclass(frozen=True)
class Query:
    """A distinct prompt. `split` and `query_id` are None if the source does not state them."""

    prompt: str
    benchmark: str
    category: str
    split: str | None
    query_id: int | None


@dataclass(frozen=True)
class CollectedEvaluations:
    """E evaluations of M models on Q queries.

    Attributes:
        models: M names, in the order of their first appearance.
        queries: Q of them, in the order of their first appearance.
        model: (E,), indices into `models`.
        query: (E,), indices into `queries`; no (model, query) pair occurs twice.
        score: (E,), float32 in [0, 1].
        usd_per_query: (M,), mean of the stated costs, US dollars; NaN if none is stated.
        notes: sentences for the user about what was merged or skipped.
    """

    models: tuple[str, ...]
    queries: tuple[Query, ...]
    model: NDArray[np.int64]
    query: NDArray[np.int64]
    score: NDArray[np.float32]
    usd_per_query: NDArray[np.float64]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Naming:
    """New names for benchmarks and models of the source.

    Attributes:
        benchmark: replaces the source's, which then becomes the category unless the source states one.
        models: new name by old.
    """

    benchmark: str | None
    models: Mapping[str, str]


def collect(
    evaluations: Iterable[Evaluation | Skipped], naming: Naming, progress: Callable[[int], None] = lambda count: None
) -> CollectedEvaluations:
    """Checks and collects evaluations.

    Args:
        progress: called with the number of evaluations read so far.

    Raises:
        DataError: no evaluations; an empty model or prompt; a score that is not a number in [0, 1]; an unknown split; one
            query_id for two texts, or two for one text. All but the first name the location in the source.
    """
    collector = _Collector(naming)
    for count, evaluation in enumerate(evaluations, start=1):
        if isinstance(evaluation, Skipped):
            collector.skipped[evaluation.reason] += 1
        else:
            collector.add(evaluation)
        if count % REPORT_EVERY == 0:
            progress(count)
    return collector.result()


class _Collector:
    def __init__(self, naming: Naming) -> None:
        self.skipped: Counter[str] = Counter()
        self._naming = naming
        self._models: dict[str, int] = {}
        self._queries: list[Query] = []
        self._by_text: dict[str, int] = {}  # by normalised and by original text: equal originals are normalised once
        self._by_id: dict[int, int] = {}
        self._in_several_benchmarks: set[int] = set()
        self._in_several_splits: set[int] = set()
        self._model, self._query, self._score = array("q"), array("q"), array("d")
        self._usd: dict[int, tuple[float, int]] = {}

    def add(self, e: Evaluation) -> None:
        name = self._naming.models.get(e.model.strip(), e.model.strip())
        _check_text(e.location, "model", name)
        score = _checked_score(e.location, name, e.score)
        model = self._models.setdefault(name, len(self._models))
        self._query.append(self._query_index(e))
        self._model.append(model)
        self._score.append(score)
        if e.usd is not None:
            total, count = self._usd.get(model, (0.0, 0))
            self._usd[model] = (total + e.usd, count + 1)

    def result(self) -> CollectedEvaluations:
        if not self._score:
            raise DataError("no evaluations found" + "".join(f"; {count} {why}" for why, count in self.skipped.items()))
        queries = len(self._queries)
        pairs = np.asarray(self._model, np.int64) * queries + np.asarray(self._query, np.int64)
        distinct, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        means = np.bincount(inverse, np.asarray(self._score, np.float64)) / counts
        costs = [total / count for total, count in (self._usd.get(m, (math.nan, 1)) for m in range(len(self._models)))]
        return CollectedEvaluations(
            tuple(self._models),
            tuple(self._queries),
            distinct // queries,
            distinct % queries,
            means.astype(np.float32),
            np.array(costs, np.float64),
            tuple(self._notes(int((counts - 1).sum()))),
        )

    def _query_index(self, e: Evaluation) -> int:
        """The index of the evaluation's query, which is added if it is new."""
        benchmark, category = self._benchmark_and_category(e)
        at = self._by_text.get(e.prompt)
        if at is None:
            text = normalise_prompt(e.prompt)
            _check_text(e.location, "prompt", text)
            at = self._by_text.setdefault(text, len(self._queries))
            self._by_text[e.prompt] = at
            if at == len(self._queries):
                self._queries.append(Query(text, benchmark, category, None, None))
        if benchmark != self._queries[at].benchmark:
            self._in_several_benchmarks.add(at)
        self._note_stated(e, at)
        return at

    def _benchmark_and_category(self, e: Evaluation) -> tuple[str, str]:
        stated, category = e.benchmark.strip(), e.category.strip()
        if self._naming.benchmark is not None:
            return self._naming.benchmark, category or stated
        return stated, category

    def _note_stated(self, e: Evaluation, at: int) -> None:
        """Notes the split and the query_id that the source states."""
        query = self._queries[at]
        if e.split is not None and e.split != query.split:
            if e.split not in SPLITS:
                raise DataError(f"{e.location}: split is {short_repr(e.split)}, expected one of {', '.join(SPLITS)}")
            if query.split is not None:
                self._in_several_splits.add(at)
            query = replace(query, split=strictest_split([e.split, query.split or e.split]))
        if e.query_id is not None and e.query_id != query.query_id:
            if query.query_id is not None:
                raise DataError(f"{e.location}: query_id {e.query_id} has the prompt of query_id {query.query_id}")
            if self._by_id.setdefault(e.query_id, at) != at:
                raise DataError(f"{e.location}: query_id {e.query_id} had another prompt before")
            query = replace(query, query_id=e.query_id)
        self._queries[at] = query

    def _notes(self, repeated: int) -> Iterable[str]:
        if repeated:
            yield f"{repeated} further scores of the same model on the same question averaged in"
        if self._in_several_benchmarks:
            yield f"{len(self._in_several_benchmarks)} questions stand in several benchmarks; each is kept under its first"
        if self._in_several_splits:
            yield f"{len(self._in_several_splits)} questions are stated in several splits; test goes before val before train"
        for why, count in self.skipped.items():
            yield f"{count} {why} left out"


def _checked_score(location: str, model: str, value: object) -> float:
    """The score as a number in [0, 1]. True and false, also as texts, count as 1 and 0."""
    number = math.nan
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        number = float(value.strip().lower() == "true")
    elif isinstance(value, str | int | float):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 <= number <= 1:
        raise DataError(f"{location}: score of {model} is {short_repr(value)}, expected a number from 0 to 1")
    return number


def _check_text(location: str, name: str, text: str) -> None:
    if not text:
        raise DataError(f"{location}: {name} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise DataError(f"{location}: {name} is not valid Unicode: {exc.reason}") from exc
