"""Embeds and predicts whole datasets, and measures the accuracy of routing and of the predictions of correctness."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.baselines import best_single, knn
from router.data.dataset import Dataset
from router.data.pools import MACROS, Pool, group, macros, pools, routed_scores
from router.errors import DataError
from router.model.embedding import Embedding, Embeddings
from router.model.locus import Locus
from router.model.predictor import Predictor
from router.model.space import ModelSpace
from router.parallel import LOCAL, run_jobs

MACRO = "macro average"  # begins the names of rows over several pools
BLOCK = 1024  # queries predicted at once, which bounds the memory
EVALUATIONS_OF_A_JOB = 30_000  # some seconds of one core


def embed_all(
    locus: Locus,
    data: Dataset,
    q: NDArray[np.float32],
    split: str,
    *,
    per_model: int | None,
    seed: int,
    checkpoint: str,
    engine: str = LOCAL,
    progress: Callable[[int], None] = lambda _: None,
) -> ModelSpace:
    """Embeds each model that has evaluations in a split.

    Args:
        locus: the trained LOCUS.
        data: the evaluations.
        q: query encodings, (Q, d_q), float32.
        split: "train", "val" or "test".
        per_model: largest number of evaluations to use of each model, drawn at random; None: all.
        seed: of the draw.
        checkpoint: id to write into the space.
        engine: what computes; see `router.parallel`.
        progress: called with the number of models that are done, those without evaluations included.

    Raises:
        DataError: no model has evaluations in the split.
        EngineError, MissingPackage: see `router.parallel.run_jobs`.
    """
    in_split = data.splits == split
    chosen: list[tuple[int, NDArray[np.int64]]] = []
    for m in range(len(data.models)):
        queries = np.flatnonzero(~np.isnan(data.scores[m]) & in_split)
        if per_model is not None and len(queries) > per_model:
            queries = np.random.default_rng((seed, m)).choice(queries, per_model, replace=False)
        if len(queries):
            chosen.append((m, queries))
    if not chosen:
        raise DataError(f"no model has an evaluation in split {split}")
    groups = list(_of_similar_size(chosen))
    jobs = ((locus, [(data.models[m], q[rows], data.scores[m, rows]) for m, rows in group]) for group in groups)
    embeddings: list[Embedding] = []
    for done, embedded in zip(groups, run_jobs(_embed_models, jobs, len(groups), engine), strict=True):
        embeddings += embedded
        progress(done[-1][0] + 1)
    progress(len(data.models))
    return ModelSpace([data.models[m] for m, _ in chosen], Embeddings.of(embeddings), checkpoint)


def _of_similar_size(chosen: Sequence[tuple[int, NDArray[np.int64]]]) -> Iterator[list[tuple[int, NDArray[np.int64]]]]:
    """Models with their queries, in groups of about `EVALUATIONS_OF_A_JOB` evaluations."""
    group: list[tuple[int, NDArray[np.int64]]] = []
    size = 0
    for model, queries in chosen:
        group.append((model, queries))
        size += len(queries)
        if size >= EVALUATIONS_OF_A_JOB:
            yield group
            group, size = [], 0
    if group:
        yield group


def _embed_models(
    locus: Locus, evaluations: Sequence[tuple[str, NDArray[np.float32], NDArray[np.float32]]]
) -> list[Embedding]:
    """Embeds models, each given by name, query encodings, (n, d_q), and scores, (n,)."""
    return [locus.embed(q, y, name) for name, q, y in evaluations]


def predict_all(
    locus: Locus, data: Dataset, q: NDArray[np.float32], space: ModelSpace, split: str
) -> NDArray[np.float32]:
    """Scores that the models of a space are expected to get on the queries of a split.

    Args:
        locus: of the checkpoint that made the space.
        data: the dataset; its scores are not read.
        q: query encodings, (Q, d_q), float32.
        space: the embeddings.
        split: "train", "val" or "test".

    Returns:
        (M, Q), float32, in the dataset's order; NaN outside the split and for models that the space lacks.
    """
    predictor, known = predictor_of(locus, data, space)
    queries = data.where(split)
    p = np.full(data.scores.shape, np.nan, np.float32)
    for start in range(0, len(queries), BLOCK):
        rows = queries[start : start + BLOCK]
        p[np.ix_(known, rows)] = predictor.predict(q[rows], graded=True).p_correct.T
    return p


def predictor_of(locus: Locus, data: Dataset, space: ModelSpace) -> tuple[Predictor, NDArray[np.int64]]:
    """A predictor of the models of the dataset that the space has, and their indices in the dataset, (k,), int64."""
    present = set(space.models)
    known = np.array([m for m, name in enumerate(data.models) if name in present], np.int64)
    rows = space.rows([data.models[m] for m in known])
    return Predictor(locus, space.embeddings.take(rows)), known


def routing_accuracy(locus: Locus, data: Dataset, q: NDArray[np.float32], space: ModelSpace, split: str) -> float:
    """Macro average of the routing accuracy on a split, without models marked `onboarding`, in [0, 1].

    It is the first of `router.data.pools.macros` that the data has pools for; 0 without pools.
    """
    p = predict_all(locus, data, q, space, split)
    found = {pool.name: float(routed_scores(data, pool, p).mean()) for pool in pools(data, split, data.onboarding)}
    return next(iter(macros(found).values()), 0.0)


@dataclass(frozen=True)
class Row:
    """Results on one pool or benchmark.

    Attributes:
        name: of the pool or benchmark.
        queries, models: their numbers; 0 models for the macro average.
        routing: method -> accuracy of the chosen models, in [0, 1].
        prediction: method -> share of evaluations whose correctness was predicted, in [0, 1].
    """

    name: str
    queries: int
    models: int
    routing: dict[str, float]
    prediction: dict[str, float]


def evaluate(data: Dataset, text: NDArray[np.float32], p: NDArray[np.float32], split: str) -> list[Row]:
    """Routing accuracy and correctness-prediction accuracy per pool, macro over old and over new pools, and per benchmark.

    LOCUS, the best single model (chosen on train) and kNN (k chosen on val) are measured on the same queries and models.

    Args:
        data: the evaluations.
        text: text encodings, (Q, text_dim), float32, for kNN.
        p: predictions of LOCUS, (M, Q), float32.
        split: the split to measure on.

    Raises:
        DataError: no query of the split was answered by two models.
    """
    neighbours, k = knn(data, text, split)
    methods = {"LOCUS": p, f"kNN (k={k})": neighbours}
    of_pools, of_benchmarks = [], []
    for pool in pools(data, split):
        of_pools.append(_row(pool.name, data, pool, methods))
        names = data.benchmarks[pool.queries]
        for benchmark in sorted(set(names.tolist())):
            part = Pool(benchmark, pool.queries[names == benchmark], pool.models)
            label = benchmark if benchmark == pool.name else f"{benchmark} ({pool.name})"
            of_benchmarks.append(_row(label, data, part, methods, single=best_single(data, pool)))
    if not of_pools:
        raise DataError(f"no query of split {split} was answered by two models")
    of_groups = ((label, [row for row in of_pools if group(row.name) == label]) for label in MACROS)
    macros = [_macro(label.replace("macro", MACRO), rows) for label, rows in of_groups if rows]
    return [*of_pools, *macros, *(row for row in of_benchmarks if row.name not in {r.name for r in of_pools})]


def _macro(name: str, rows: Sequence[Row]) -> Row:
    """The mean over pools, of which there is at least one."""
    return Row(
        name,
        sum(row.queries for row in rows),
        0,
        {method: float(np.mean([row.routing[method] for row in rows])) for method in rows[0].routing},
        {method: float(np.mean([row.prediction[method] for row in rows])) for method in rows[0].prediction},
    )


def _row(
    name: str,
    data: Dataset,
    pool: Pool,
    methods: dict[str, NDArray[np.float32]],
    single: NDArray[np.float32] | None = None,
) -> Row:
    """Measures methods on one pool.

    Args:
        name: of the row.
        methods: name -> predictions, (M, Q).
        single: values whose highest one is the best single model, (M, Q); None: that of this pool.
    """
    single = best_single(data, pool) if single is None else single
    scores = data.scores[np.ix_(pool.models, pool.queries)]
    answered = ~np.isnan(scores)
    routing = {"best single": float(routed_scores(data, pool, single).mean())}
    prediction = {}
    for method, p in methods.items():
        routing[method] = float(routed_scores(data, pool, p).mean())
        predicted = p[np.ix_(pool.models, pool.queries)][answered] >= 0.5
        prediction[method] = float((1 - np.abs(predicted - scores[answered])).mean())
    routing["oracle"] = float(np.nanmax(scores, axis=0).mean())
    return Row(name, len(pool.queries), len(pool.models), routing, prediction)
