"""Training: evaluations of many models -> query features, how models differ, and where a learned choice is worth believing.

One network is trained by gradient, the domain classifier; all else is linear algebra. Then a model, known or new, is embedded
without training anything.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.errors import ArtifactError, DataError
from router.model.anchors import Anchors, choose_anchors
from router.model.features import FeatureMap, Features, kernel, standardised
from router.model.locus import EMBEDDING_DIM, Locus
from router.model.predictor import Predictor
from router.model.readout import Prior, Statistics, posterior
from router.model.space import ModelSpace
from router.train.domains import EPOCHS, Classifier, Domains, find_domains, train_classifier
from router.train.evaluate import embed_all
from router.train.guard import LADDER, Verdict, judge

STATE = "train-state.npz"
KERNEL_DIM = 512  # decorrelated kernel features at most
KERNEL_FLOOR = 3e-3  # eigenvalues below are dropped: they hold rounding, not signal
ABILITY = 0.05  # prior variance of a model's overall deviation
MEAN_VARIANCE = 0.1  # of the mean model's terms
# Prior variances of the benchmark and domain terms, and of the kernel terms, tried on `val`. The least means: no signal.
GRID = tuple((domain, local) for domain in (1e-5, 0.003, 0.03) for local in (1e-6, 0.001, 0.003, 0.01, 0.03))
DIRECTIONS = 1  # more would extrapolate from where a model was evaluated to where it was not, and blur distances
PRIOR_ROUNDS = 2
FOLDS = 5
MIN_EVALUATIONS = 32  # of a model, to be trained on
EMBEDDING_PRIOR = 0.05  # share of the prior in what the embedding's directions are chosen by


@dataclass(frozen=True)
class Trained:
    """What training found.

    Attributes:
        space: embeddings of every model from all its train evaluations, onboarding ones too; names no checkpoint yet.
        domains: what the classifier tells apart.
        anchors: the anchor queries, for the card.
        variances: the chosen pair of `GRID`.
        verdicts: the guard's, one per benchmark.
    """

    locus: Locus
    space: ModelSpace
    domains: Domains
    anchors: Anchors
    variances: tuple[float, float]
    verdicts: tuple[Verdict, ...]


Progress = Callable[[int, str], None]  # steps done of `STEPS`, what was done
STEPS = EPOCHS + 5


def train(
    data: Dataset, q: NDArray[np.float32], text_dim: int, seed: int, out: Path, progress: Progress = lambda *_: None
) -> Trained:
    """Trains on split `train`, selects on `val`; `test` and models marked `onboarding` are never read.

    The trained network is kept in `out` until the checkpoint is written, so that a run that was stopped goes on behind it. Same
    data, seed and number of threads give the same weights, bit for bit, on one kind of CPU.

    Args:
        q: query encodings, (Q, d_q), in the order of the dataset.
        text_dim: width of their text part.

    Raises:
        DataError: nothing to train on or to select by.
        ArtifactError: `out` holds the state of another run.
    """
    anchors = choose_anchors(data, q, seed=seed)
    domains = find_domains(data)
    features = _feature_map(data, q, text_dim, anchors, domains, seed, out, progress)
    evidence = _Evidence.of(data, features, q)
    progress(EPOCHS + 1, "features")
    prior, variances = _choose_prior(evidence)
    progress(EPOCHS + 2, "prior")
    basis, origin = _directions(features, prior, evidence, anchors)
    no_trust = np.zeros((2, features.benchmarks), np.float32)
    locus = Locus(features, prior, basis, origin, _profiles(evidence), no_trust)
    progress(EPOCHS + 3, "space")
    verdicts = _verdicts(locus, evidence, domains)
    trust = np.array([verdict.trust for verdict in verdicts], np.float32).T
    locus = Locus.restore(replace(locus, trust=trust).weights(), {"text_dim": text_dim})  # as rounded in the checkpoint
    progress(EPOCHS + 4, "guard")
    space = embed_all(locus, data, q, "train", per_model=None, seed=seed, checkpoint="")
    progress(STEPS, "embeddings")
    return Trained(locus, space, domains, anchors, variances, verdicts)


def _feature_map(
    data: Dataset,
    q: NDArray[np.float32],
    text_dim: int,
    anchors: Anchors,
    domains: Domains,
    seed: int,
    out: Path,
    progress: Progress,
) -> FeatureMap:
    """ψ: standardisation, classifier and kernel, from the training queries."""
    train = data.where("train")
    surface = q[train, text_dim:]
    mean, scale = surface.mean(axis=0), surface.std(axis=0) + np.float32(1e-3)
    points = anchors.q.astype(np.float16).astype(np.float32)  # as the checkpoint keeps them
    values, vectors = np.linalg.eigh(kernel(standardised(points, text_dim, mean, scale), text_dim).astype(np.float64))
    keep = np.flatnonzero(values > KERNEL_FLOOR)[::-1][:KERNEL_DIM]
    projection = (vectors[:, keep] / np.sqrt(values[keep])).astype(np.float32)
    known = train[domains.of_query[train] >= 0]
    classifier = _classifier(
        standardised(q[known], text_dim, mean, scale),
        domains,
        known,
        f"{data.hash} {len(q)} {q.shape[1]} {seed}",
        seed,
        out,
        progress,
    )
    return FeatureMap(text_dim, mean, scale, points, projection, **vars(classifier), parent=domains.parent)


def _classifier(
    x: NDArray[np.float32],
    domains: Domains,
    known: NDArray[np.int64],
    identity: str,
    seed: int,
    out: Path,
    progress: Progress,
) -> Classifier:
    """Trained now, or read from the state of a run that was stopped."""
    state = out / STATE
    if state.exists():
        with np.load(state) as kept:
            if str(kept["identity"]) != identity:
                raise ArtifactError(f"{state}: the state of a run with other data or settings; remove it to start anew")
            return Classifier(*(kept[name] for name in Classifier.__dataclass_fields__))
    classifier = train_classifier(
        x, domains.of_query[known], len(domains.names), seed, lambda epoch, loss: progress(epoch, f"loss {loss:.3f}")
    )
    out.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".tmp").open("wb") as file:
        np.savez(file, identity=np.array(identity), **vars(classifier))
    state.with_suffix(".tmp").replace(state)
    return classifier


@dataclass(frozen=True)
class _Group:
    """Models that answered the same train queries, and their statistics, in `FOLDS` parts and in all."""

    models: NDArray[np.int64]
    parts: tuple[Statistics, ...]
    whole: Statistics


@dataclass(frozen=True)
class _Evidence:
    """The evaluations of the training models as the read-out sees them.

    Attributes:
        data: its test scores and those of onboarding models are not read.
        queries: those of `train` and `val`, indices into the data, (n,).
        features: of those queries.
        psi: their design, (n, D).
        scores: (M, n).
        fold: of each query, (n,); -1 for `val`.
    """

    data: Dataset
    map: FeatureMap
    queries: NDArray[np.int64]
    features: Features
    psi: NDArray[np.float32]
    scores: NDArray[np.float32]
    fold: NDArray[np.int64]
    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, data: Dataset, map: FeatureMap, q: NDArray[np.float32]) -> "_Evidence":
        """
        Raises:
            DataError: no model has enough evaluations, or no val query can be selected by.
        """
        queries = np.flatnonzero(data.splits != "test")
        features = map(q[queries])
        psi = map.design(features)
        scores = data.scores[:, queries].copy()
        scores[data.onboarding] = np.nan
        in_train = data.splits[queries] == "train"
        fold = np.where(in_train, np.random.default_rng(FOLDS).integers(FOLDS, size=len(queries)), -1)
        known = ~np.isnan(scores) & in_train
        if not (known.sum(axis=1) >= MIN_EVALUATIONS).any():
            raise DataError(f"no model has {MIN_EVALUATIONS} evaluations in split train")
        if not ((~np.isnan(scores[:, ~in_train])).sum(axis=0) >= 2).any():
            raise DataError("no query of split val was answered by two models: there is nothing to select by")
        patterns: dict[bytes, list[int]] = {}
        for m in np.flatnonzero(known.sum(axis=1) >= MIN_EVALUATIONS):
            patterns.setdefault(known[m].tobytes(), []).append(int(m))
        groups = []
        for models in patterns.values():
            members = np.array(models)
            parts = []
            for k in range(FOLDS):
                rows = np.flatnonzero(known[members[0]] & (fold == k))
                parts.append(Statistics.of(psi[rows], scores[np.ix_(members, rows)].T))
            whole = Statistics(sum(p.gram for p in parts), sum(p.moment for p in parts))  # type: ignore[arg-type]
            groups.append(_Group(members, tuple(parts), whole))
        return cls(data, map, queries, features, psi, scores, fold, tuple(groups))

    def readouts(self, prior: Prior) -> NDArray[np.float64]:
        """Posterior means of all models, (M, D), NaN where a model is not trained on."""
        out = np.full((len(self.scores), self.psi.shape[1]), np.nan)
        root = prior.root()
        for group in self.groups:
            out[group.models] = posterior(root, prior.mean, group.whole).mean.T
        return out

    def predictor(self, locus: Locus, without: int | None) -> tuple[Predictor, NDArray[np.int64]]:
        """Predictions for all models that are trained on, from all but one fold, and which models they are."""
        root = locus.prior.root()
        models, coefficients, variances = [], [], []
        for group in self.groups:
            known = group.whole if without is None else group.whole.minus(group.parts[without])
            after = posterior(root, locus.prior.mean, known)
            models.append(group.models)
            coefficients.append(locus.features.folded(after.mean.T - locus.prior.mean))
            variances.append(np.tile(locus.variances(after), (len(group.models), 1)))
        return Predictor(locus, np.concatenate(coefficients), np.concatenate(variances)), np.concatenate(models)


def _choose_prior(evidence: _Evidence) -> tuple[Prior, tuple[float, float]]:
    """The variances under which deviations between models are predicted best on `val`, then mean and directions.

    What routing needs is the difference between models, so the loss is the squared error after each query's mean error over the
    models is taken out, averaged over benchmarks by the square root of their size.
    """
    mean = _mean_model(evidence)
    best: tuple[float, tuple[float, float]] = (math.inf, GRID[0])
    for pair in GRID:
        prior = Prior(mean, _variance(evidence.map, *pair), np.zeros((len(mean), 0)))
        best = min(best, (_deviation_loss(evidence, evidence.readouts(prior)), pair))
    variance = _variance(evidence.map, *best[1])
    prior = Prior(mean, variance, np.zeros((len(mean), 0)))
    for _ in range(PRIOR_ROUNDS):
        deviations = _trained(evidence.readouts(prior)) - mean
        left, size, _ = np.linalg.svd(deviations @ _anchor_design(evidence.map).T, full_matrices=False)
        rank = min(DIRECTIONS, int((size > 1e-9).sum()))
        prior = Prior(mean, variance, deviations.T @ left[:, :rank] / np.sqrt(len(deviations)))
    return prior, best[1]


def _mean_model(evidence: _Evidence) -> NDArray[np.float64]:
    """A read-out of the mean score of each train query over the models that answered it."""
    train = evidence.fold >= 0
    answered = (~np.isnan(evidence.scores)).any(axis=0) & train
    target = np.nanmean(evidence.scores[:, answered], axis=0)
    start = np.zeros(evidence.psi.shape[1])
    start[0] = target.mean()
    root = np.diag(np.full(len(start), math.sqrt(MEAN_VARIANCE)))
    mean: NDArray[np.float64] = posterior(root, start, Statistics.of(evidence.psi[answered], target)).mean
    return mean


def _variance(map: FeatureMap, domain: float, local: float) -> NDArray[np.float64]:
    """v of the prior, (D,)."""
    kinds = map.benchmarks + len(map.parent)
    return np.concatenate([[ABILITY], np.full(kinds, domain), np.full(map.width - 1 - kinds, local)])


def _deviation_loss(evidence: _Evidence, readouts: NDArray[np.float64]) -> float:
    val = np.flatnonzero(evidence.fold < 0)
    error = readouts.astype(np.float32) @ evidence.psi[val].T - evidence.scores[:, val]
    count = (~np.isnan(error)).sum(axis=0)
    val, error, count = val[count >= 2], error[:, count >= 2], count[count >= 2]
    centred = error - np.nansum(error, axis=0) / count
    of_query = np.nansum(centred**2, axis=0) / count
    benchmarks = evidence.data.benchmarks[evidence.queries[val]]
    names, sizes = np.unique(benchmarks, return_counts=True)
    means = [of_query[benchmarks == name].mean() for name in names]
    return float(np.average(means, weights=np.sqrt(sizes)))


def _directions(
    map: FeatureMap, prior: Prior, evidence: _Evidence, anchors: Anchors
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Basis (D, 128) and origin (D,) of the embedding: principal directions of how models differ over the anchors.

    Distances are between pairs of models, so an anchor counts for the pairs that were compared on the queries it stands for.
    """
    design = _anchor_design(map) * np.sqrt(_pairs(evidence, anchors))[:, None]
    metric = np.linalg.cholesky(design.T @ design + 1e-9 * np.eye(map.width))
    deviations = (_trained(evidence.readouts(prior)) - prior.mean) @ metric
    scatter = deviations.T @ deviations / len(deviations) + EMBEDDING_PRIOR * (metric.T * prior.variance) @ metric
    _, vectors = np.linalg.eigh(scatter)
    basis = metric @ vectors[:, ::-1][:, :EMBEDDING_DIM]
    return np.pad(basis, ((0, 0), (0, EMBEDDING_DIM - basis.shape[1]))), prior.mean


def _pairs(evidence: _Evidence, anchors: Anchors) -> NDArray[np.float64]:
    """Share of the compared pairs of models that each anchor stands for, (A,), summing to 1."""
    count = (~np.isnan(evidence.scores[:, evidence.fold >= 0])).sum(axis=0)
    of_query = evidence.data.benchmarks[evidence.queries[evidence.fold >= 0]]
    names, inverse, sizes = np.unique(anchors.benchmarks, return_inverse=True, return_counts=True)
    pairs = np.array([(count * (count - 1) / 2)[of_query == name].sum() for name in names]) + 1e-9
    weight = (pairs / sizes)[inverse]
    return np.asarray(weight / weight.sum())


def _profiles(evidence: _Evidence) -> NDArray[np.float32]:
    """Mean features of the training queries of each benchmark and domain, (B + C, F)."""
    rows = np.flatnonzero(evidence.fold >= 0)
    features = evidence.features
    kinds = np.concatenate([features.benchmarks[rows], features.domains[rows]], axis=1)
    kinds = kinds / kinds.sum(axis=0)
    flat = np.concatenate(
        [
            np.ones((len(rows), 1), np.float32),
            features.benchmarks[rows],
            features.domains[rows],
            features.closeness[rows],
        ],
        axis=1,
    )
    return np.asarray(kinds.T @ flat, np.float32)


def _verdicts(locus: Locus, evidence: _Evidence, domains: Domains) -> tuple[Verdict, ...]:
    """Routes all queries of `train` (by cross-fitting) and `val` on each rung of the ladder, and judges each benchmark."""
    routed = np.full((len(LADDER), len(evidence.queries)), np.nan)
    for fold in (None, *range(FOLDS)):
        rows = np.flatnonzero(evidence.fold == (-1 if fold is None else fold))
        scores = evidence.scores[:, rows]
        rows, scores = rows[(~np.isnan(scores)).sum(axis=0) >= 2], scores[:, (~np.isnan(scores)).sum(axis=0) >= 2]
        predictor, models = evidence.predictor(locus, fold)
        part = Features(*(array[rows] for array in vars(evidence.features).values()))
        for rung, trust in enumerate(LADDER):
            value = np.where(
                np.isnan(scores[models]), -np.inf, predictor.at(part, np.array(trust, np.float32)[:, None]).p_correct.T
            )
            routed[rung, rows] = scores[models[value.argmax(axis=0)], np.arange(len(rows))]
    of_query = evidence.data.benchmarks[evidence.queries]
    usable = ~np.isnan(routed[0])
    return tuple(judge(name, routed[:, usable & (of_query == name)]) for name in domains.benchmarks)


def _anchor_design(map: FeatureMap) -> NDArray[np.float64]:
    return map.design(map(map.anchors)).astype(np.float64)


def _trained(readouts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only the models that were trained on."""
    return readouts[~np.isnan(readouts[:, 0])]
