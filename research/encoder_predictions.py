"""Predictions for held-out queries by routers that know n evaluations of each model, for `research.measure_encoder`."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Method, thinned
from research.bench.rows.best_per_benchmark import BestPerBenchmark
from research.bench.rows.best_single import BestSingle
from research.bench.rows.clusters import OVERALL, POOL, ClusterMeans, Partition
from router.data.dataset import Dataset
from router.data.pools import pools, routed_scores
from router.model.embedding import Embedding, Embeddings
from router.model.locus import Locus
from router.model.network import sigmoid
from router.model.predictor import Predictor
from router.model.soft_clip import soft_clip

OURS, UNNAMED, READOUT = "ours", "ours, no name", "plain read-out"
SINGLE, PER_BENCHMARK, CLUSTERS = "best single", "best per benchmark", "clusters"
PREDICTING = (OURS, UNNAMED, READOUT, CLUSTERS)  # the others only rank models
CLUSTER_COUNT = 64
CLUSTER_SETTINGS = tuple((weight, prior) for weight in (10, 50) for prior in (OVERALL, POOL))
Predictions = NDArray[np.float32]


def of_split(data: Dataset, split: str) -> Dataset:
    """The same data with the queries of one split only."""
    keep = data.where(split)
    columns = {name: getattr(data, name)[keep] for name in ("query_ids", "benchmarks", "categories", "splits")}
    return replace(data, **columns, prompts=tuple(data.prompts[i] for i in keep), scores=data.scores[:, keep])


@dataclass
class Embedder:
    """Embeds models from their train evaluations; a model whose sample is all it has is embedded once.

    Attributes:
        data: the evaluations.
        q: query encodings, (Q, d_q), float32.
    """

    locus: Locus
    data: Dataset
    q: NDArray[np.float32]
    _complete: dict[tuple[int, bool], Embedding] = field(default_factory=dict)

    def embed(self, sample: Dataset, *, named: bool) -> tuple[NDArray[np.int64], Embeddings]:
        """The models with train evaluations in a sample of the data, (k,), and their embeddings, k rows.

        Args:
            named: the names of the models are known.
        """
        train = self.data.splits == "train"
        rows, found = [], []
        for m, name in enumerate(self.data.models):
            queries = np.flatnonzero(~np.isnan(sample.scores[m]) & train)
            if not len(queries):
                continue
            complete = len(queries) == (~np.isnan(self.data.scores[m]) & train).sum()
            embedding = self._complete.get((m, named)) if complete else None
            if embedding is None:
                embedding = self.locus.embed(self.q[queries], self.data.scores[m, queries], name if named else None)
            if complete:
                self._complete[m, named] = embedding
            rows.append(m)
            found.append(embedding)
        return np.array(rows), Embeddings.of(found)


@dataclass(frozen=True)
class Comparison:
    """Routers that all know the same sample of the train evaluations.

    Attributes:
        data: the evaluations.
        q: query encodings, (Q, d_q), float32.
        text_dim: number of text columns in `q`.
        split: of the held-out queries.
        partition: clusters of the train queries.
    """

    locus: Locus
    data: Dataset
    q: NDArray[np.float32]
    text_dim: int
    split: str
    embedder: Embedder
    partition: Partition

    @classmethod
    def of(cls, locus: Locus, data: Dataset, q: NDArray[np.float32], text_dim: int, split: str) -> "Comparison":
        partition = Partition.of(q[data.where("train"), :text_dim], CLUSTER_COUNT, 0)
        return cls(locus, data, q, text_dim, split, Embedder(locus, data, q), partition)

    def predictions(self, per_model: int | None, draw: int) -> dict[str, Predictions]:
        """Router -> its predictions, (M, queries of the split); NaN for models without train evaluations.

        Args:
            per_model: largest number of train evaluations of each model; None: all.
        """
        sample = self.data if per_model is None else thinned(self.data, per_model, draw)
        asked = self.data.where(self.split)
        rankings: dict[str, Method] = {SINGLE: BestSingle(), PER_BENCHMARK: BestPerBenchmark()}
        return {
            **dict(self._ours(sample, asked)),
            CLUSTERS: self._clusters(sample, asked),
            **{name: row.fit(sample, self.q, {}, draw).predict(asked) for name, row in rankings.items()},
        }

    def _ours(self, sample: Dataset, asked: NDArray[np.int64]) -> Iterator[tuple[str, Predictions]]:
        terms = self.locus.asked(self.q[asked], graded=True)
        for name, named in ((OURS, True), (UNNAMED, False)):
            rows, embeddings = self.embedder.embed(sample, named=named)
            out = np.full((len(self.data.models), len(asked)), np.nan, np.float32)
            out[rows] = Predictor(self.locus, embeddings).predict_asked(terms).p_correct.T
            yield name, out
        plain = np.full_like(out, np.nan)
        joined = terms.design[:, : embeddings.readout.shape[1]]
        plain[rows] = soft_clip(sigmoid(terms.odds)[:, None] + joined @ embeddings.readout.T).T
        yield READOUT, plain

    def _clusters(self, sample: Dataset, asked: NDArray[np.int64]) -> Predictions:
        """With the setting that routes best on `val` among known models."""
        text, val, held = self.q[:, : self.text_dim], self.data.where("val"), of_split(self.data, "val")
        priors = {OVERALL: None, POOL: BestSingle().fit(sample, self.q, {}, 0)}
        sums = self.partition.sums(sample, text)
        fits = [ClusterMeans(text, self.partition, *sums, weight, priors[prior]) for weight, prior in CLUSTER_SETTINGS]
        known = list(pools(held, "val", held.onboarding))
        accuracy = []
        for fit in fits:
            p = fit.predict(val)
            accuracy.append(np.mean([routed_scores(held, pool, p).mean() for pool in known]))
        return fits[int(np.argmax(accuracy))].predict(asked)
