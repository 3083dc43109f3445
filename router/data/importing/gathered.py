"""Evaluations of a reader, checked one by one and collected: queries by text, several scores of one answer averaged.

Knows nothing of files already written, nor of which split a query without a stated one falls in.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import SPLITS
from router.data.importing.evaluation import Evaluation, LeftOut
from router.data.importing.prompt import identity, most_held_out
from router.data.importing.shown import shown
from router.errors import DataError

REPORT_EVERY = 10_000


@dataclass(frozen=True)
class Query:
    """A distinct text. `split` and `query_id` are None where the source states none."""

    prompt: str
    benchmark: str
    category: str
    split: str | None
    query_id: int | None


@dataclass(frozen=True)
class Gathered:
    """E evaluations of M models on Q queries.

    Attributes:
        models: M names, in the order of appearance.
        queries: Q of them, in the order of appearance.
        model: (E,), indices into `models`.
        query: (E,), indices into `queries`; no (model, query) pair occurs twice.
        score: (E,), float32 in [0, 1].
        usd_per_query: (M,), mean stated cost, US dollars; NaN where none is stated.
        notes: what was merged or left out, for the reader of the command's output.
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
    """How names change on the way in.

    Attributes:
        benchmark: put in place of the source's, which then becomes the category unless the source states one.
        models: new name by old.
    """

    benchmark: str | None
    models: Mapping[str, str]


def gather(
    found: Iterable[Evaluation | LeftOut], naming: Naming, progress: Callable[[int], None] = lambda count: None
) -> Gathered:
    """Checks and collects.

    Raises:
        DataError: no evaluations; an empty model or prompt; a score that is no number in [0, 1]; an unknown split; one
            query_id for two texts, or two for one text. All but the first name the place.
    """
    collector = _Collector(naming)
    for count, evaluation in enumerate(found, start=1):
        if isinstance(evaluation, LeftOut):
            collector.left_out[evaluation.reason] += 1
        else:
            collector.add(evaluation)
        if count % REPORT_EVERY == 0:
            progress(count)
    return collector.result()


class _Collector:
    def __init__(self, naming: Naming) -> None:
        self.left_out: Counter[str] = Counter()
        self._naming = naming
        self._models: dict[str, int] = {}
        self._queries: list[Query] = []
        self._by_text: dict[str, int] = {}  # by the text as given, too, to spare the rows after the first its cleaning
        self._by_id: dict[int, int] = {}
        self._shared: set[int] = set()
        self._contested: set[int] = set()
        self._model, self._query, self._score = array("q"), array("q"), array("d")
        self._usd: dict[int, tuple[float, int]] = {}

    def add(self, e: Evaluation) -> None:
        name = self._naming.models.get(e.model.strip(), e.model.strip())
        _encodable(e.at, "model", name)
        score = _checked(e.at, name, e.score)
        model = self._models.setdefault(name, len(self._models))
        self._query.append(self._find(e))
        self._model.append(model)
        self._score.append(score)
        if e.usd is not None:
            total, count = self._usd.get(model, (0.0, 0))
            self._usd[model] = (total + e.usd, count + 1)

    def result(self) -> Gathered:
        if not self._score:
            raise DataError(
                "no evaluations found" + "".join(f"; {count} {why}" for why, count in self.left_out.items())
            )
        queries = len(self._queries)
        pairs = np.asarray(self._model, np.int64) * queries + np.asarray(self._query, np.int64)
        distinct, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        means = np.bincount(inverse, np.asarray(self._score, np.float64)) / counts
        costs = [total / count for total, count in (self._usd.get(m, (math.nan, 1)) for m in range(len(self._models)))]
        return Gathered(
            tuple(self._models),
            tuple(self._queries),
            distinct // queries,
            distinct % queries,
            means.astype(np.float32),
            np.array(costs, np.float64),
            tuple(self._notes(int((counts - 1).sum()))),
        )

    def _find(self, e: Evaluation) -> int:
        """Index of the evaluation's query, which it may be the first to name."""
        benchmark, category = self._named(e)
        at = self._by_text.get(e.prompt)
        if at is None:
            text = identity(e.prompt)
            _encodable(e.at, "prompt", text)
            at = self._by_text.setdefault(text, len(self._queries))
            self._by_text[e.prompt] = at
            if at == len(self._queries):
                self._queries.append(Query(text, benchmark, category, None, None))
        if benchmark != self._queries[at].benchmark:
            self._shared.add(at)
        self._state(e, at)
        return at

    def _named(self, e: Evaluation) -> tuple[str, str]:
        stated, category = e.benchmark.strip(), e.category.strip()
        if self._naming.benchmark is not None:
            return self._naming.benchmark, category or stated
        return stated, category

    def _state(self, e: Evaluation, at: int) -> None:
        """Takes over the split and the query_id that the source states."""
        query = self._queries[at]
        if e.split is not None and e.split != query.split:
            if e.split not in SPLITS:
                raise DataError(f"{e.at}: split is {shown(e.split)}, expected one of {', '.join(SPLITS)}")
            if query.split is not None:
                self._contested.add(at)
            query = replace(query, split=most_held_out([e.split, query.split or e.split]))
        if e.query_id is not None and e.query_id != query.query_id:
            if query.query_id is not None:
                raise DataError(f"{e.at}: query_id {e.query_id} has the prompt of query_id {query.query_id}")
            if self._by_id.setdefault(e.query_id, at) != at:
                raise DataError(f"{e.at}: query_id {e.query_id} had another prompt before")
            query = replace(query, query_id=e.query_id)
        self._queries[at] = query

    def _notes(self, repeated: int) -> Iterable[str]:
        if repeated:
            yield f"{repeated} further scores of the same model on the same question averaged in"
        if self._shared:
            yield f"{len(self._shared)} questions stand in several benchmarks; each is kept under its first"
        if self._contested:
            yield f"{len(self._contested)} questions are stated in several splits; test goes before val before train"
        for why, count in self.left_out.items():
            yield f"{count} {why} left out"


def _checked(at: str, model: str, value: object) -> float:
    """The score as a number in [0, 1]; true and false count as 1 and 0."""
    number = math.nan
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        number = float(value.strip().lower() == "true")
    elif isinstance(value, str | int | float):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 <= number <= 1:
        raise DataError(f"{at}: score of {model} is {shown(value)}, expected a number from 0 to 1")
    return number


def _encodable(at: str, name: str, text: str) -> None:
    if not text:
        raise DataError(f"{at}: {name} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise DataError(f"{at}: {name} is not valid Unicode: {exc.reason}") from exc
