"""Fits the general term: difficulty of prompts, familiarity, and the constants of the ability.

The difficulty is regressed on the text encoding and the surface statistics, over the judged requests of `requests.tsv` and, with a
small weight, over the queries of all benchmarks with their Rasch difficulties. Benchmarks alone do not teach it: for a benchmark
that is left out, a regression on the others is no better than a constant, and it orders everyday requests wrongly.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.data.benchmarks import relative
from router.data.dataset import Dataset
from router.model.features import TEXT_GAIN, FeatureMap, Features, standardised
from router.model.general import KNOTS, General, basis, option_floor
from router.train.familiarity import Discriminants, fit_exam, fit_familiarity
from router.train.rasch import Evaluations, Rasch, fit_rasch
from router.train.requests import Judged

# The chance of a guess in benchmarks that compare options which the prompt does not print.
HIDDEN_OPTIONS = {"winogrande": 1 / 2, "arc_easy_cloze": 1 / 4, "arc_challenge_cloze": 1 / 4}
RIDGE = 30.0  # of the difficulty; chosen by cross-validation over the judged requests
BENCHMARK_WEIGHT = 3.0  # of all queries of a benchmark together, in requests
OFFSET_SPREAD = (
    1.0  # logits; benchmarks differ in difficulty by how they are graded too, which is no property of their texts
)
LARGEST_BENCHMARK = 500  # queries of a benchmark that the regressions read, evenly spaced
LARGEST_SPREAD = 0.5  # v of a general term that could not be checked on another benchmark


def fit_general(
    data: Dataset, q: NDArray[np.float32], features: FeatureMap, kinds: tuple[str, ...], judged: Judged
) -> General:
    """The general term. Reads splits `train` and `val`, and no scores of models marked `onboarding` or of relative benchmarks.

    Args:
        data: evaluations of many models.
        q: query encodings, (Q, d_q), float32.
        features: ψ, fitted.
        kinds: names of the B benchmarks in the order of ψ.
        judged: requests with their authors' judgement.
    """
    place = {name: i for i, name in enumerate(kinds)}
    kind = np.array([place.get(name, -1) for name in data.benchmarks.tolist()], np.int64)  # (Q,); -1: not in `train`
    absolute = ~np.isin(kinds, list(relative(kinds)))
    hidden = np.array([HIDDEN_OPTIONS.get(name, 0.0) for name in kinds])
    known = train_evaluations(data, kind, absolute, hidden, q[:, features.text_dim :])
    rasch = fit_rasch(known)
    train = spaced(np.where(data.splits == "train", kind, -1))
    answered = train[np.isin(train, known.query)]
    design, wanted = prompt_design(q[answered], features), prompt_design(judged.q, features)
    regression = Regression.of(design, rasch.difficulty[answered], kind[answered], wanted, judged.difficulty)
    talk = prompt_design(q[train[~absolute[kind[train]]]], features)
    exam = fit_exam(design, kind[answered], np.concatenate([wanted, talk]))
    val = spaced(np.where(data.splits == "val", kind, -1))
    linear = linear_design(q[train], features), linear_design(q[val], features)
    discriminants, familiar = fit_familiarity(linear[0], kind[train], linear[1], kind[val])
    text, surface, intercept = _joined_heads(np.column_stack([regression.solution(), exam]), discriminants, features)
    return General(
        mean=features.mean,
        scale=features.scale,
        text=text,
        surface=surface,
        intercept=intercept,
        centres=_float32(discriminants.centres),
        background=_float32(discriminants.background),
        familiar=_float32(familiar),
        spread=fit_spread(known, rasch, design, answered, regression),
        difficulty=_domain_difficulty(features, q[answered], rasch.difficulty[answered]),
        floor=_float32(hidden),
        discrimination=_float32(rasch.discrimination),
        absolute=_float32(absolute),
    )


def _joined_heads(
    heads: NDArray[np.float64], discriminants: Discriminants, features: FeatureMap
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """`text`, `surface` and `intercept` of the general term.

    Args:
        heads: coefficients of difficulty and exam odds on `prompt_design`, (P, 2).
        discriminants: on `linear_design`; its statistics are the hinges at the first knot, which is the lower clip.
    """
    width = features.text_dim
    rest = (len(KNOTS) - 1) * len(features.mean)
    linear = np.pad(discriminants.directions, ((0, rest), (0, 0)))
    text = np.column_stack([heads[1 : 1 + width], linear[:width]]) * TEXT_GAIN
    surface = np.column_stack([heads[1 + width :], linear[width:]])
    return _float32(text), _float32(surface), _float32(np.concatenate([heads[0], discriminants.offset]))


def with_known_kinds(features: Features, domain: NDArray[np.int64], parent: NDArray[np.int64]) -> Features:
    """Features of n queries whose domain is known, (n,): posteriors of 0 and 1, for `General.ability`."""
    domains = np.eye(len(parent), dtype=np.float32)[domain]
    benchmarks = np.eye(int(parent.max()) + 1, dtype=np.float32)[parent[domain]]
    return replace(features, benchmarks=benchmarks, domains=domains)


def train_evaluations(
    data: Dataset,
    kind: NDArray[np.int64],
    absolute: NDArray[np.bool_],
    hidden: NDArray[np.float64],
    surface: NDArray[np.float32],
) -> Evaluations:
    """The evaluations that are fitted: of split `train`, of models not marked `onboarding`, on benchmarks with absolute scores."""
    columns = np.flatnonzero((data.splits == "train") & absolute[kind])
    scores = data.scores[:, columns].copy()
    scores[data.onboarding] = np.nan
    model, position = np.nonzero(~np.isnan(scores))
    return Evaluations(
        model,
        columns[position],
        scores[model, position].astype(np.float64),
        kind,
        np.maximum(option_floor(surface), hidden[kind]).astype(np.float64),
        len(data.models),
        len(absolute),
    )


def spaced(kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of at most `LARGEST_BENCHMARK` queries of each benchmark, evenly spaced, sorted; -1 in `kind` is left out."""
    chosen = []
    for k in np.unique(kind[kind >= 0]):
        mine = np.flatnonzero(kind == k)
        chosen.append(mine[np.linspace(0, len(mine) - 1, min(len(mine), LARGEST_BENCHMARK)).astype(np.int64)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def linear_design(q: NDArray[np.float32], features: FeatureMap) -> NDArray[np.float64]:
    """Rows [text encoding · gain, standardised surface statistics], (n, d_q), float64."""
    return standardised(q, features.text_dim, features.mean, features.scale).astype(np.float64)


def prompt_design(q: NDArray[np.float32], features: FeatureMap) -> NDArray[np.float64]:
    """Rows [1, text encoding · gain, hinges of the surface statistics], (n, P), float64."""
    text, surface = q[:, : features.text_dim] * np.float32(TEXT_GAIN), q[:, features.text_dim :]
    ones = np.ones((len(q), 1), np.float32)
    return np.concatenate([ones, text, basis(surface, features.mean, features.scale)], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Regression:
    """Ridge regression of the difficulty, in which each benchmark has an offset of its own, taken out beforehand.

    Attributes:
        gram, moment: of the requests, (P, P) and (P,).
        grams, moments: of each benchmark k, as far as its offset leaves them.
    """

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]
    grams: dict[int, NDArray[np.float64]]
    moments: dict[int, NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        design: NDArray[np.float64],
        difficulty: NDArray[np.float64],
        kind: NDArray[np.int64],
        requests: NDArray[np.float64],
        request_difficulty: NDArray[np.float64],
    ) -> "Regression":
        """Of n benchmark queries, (n, P), (n,), (n,), and the judged requests."""
        grams, moments = {}, {}
        for k in np.unique(kind).tolist():
            x, y = design[kind == k], difficulty[kind == k]
            weight = BENCHMARK_WEIGHT / len(x)
            # The offset has the prior N(0, σ²): integrating it out removes this share of the benchmark's mean.
            share = OFFSET_SPREAD**2 / (1 + OFFSET_SPREAD**2 * BENCHMARK_WEIGHT) * BENCHMARK_WEIGHT**2
            mean = x.mean(axis=0)
            grams[k] = weight * x.T @ x - share * np.outer(mean, mean)
            moments[k] = weight * x.T @ y - share * mean * y.mean()
        return cls(requests.T @ requests, requests.T @ request_difficulty, grams, moments)

    def solution(self, without: int | None = None) -> NDArray[np.float64]:
        """Coefficients of the difficulty, (P,), without one benchmark or with all."""
        gram = self.gram + sum(part for k, part in self.grams.items() if k != without)
        moment = self.moment + sum(part for k, part in self.moments.items() if k != without)
        penalty = np.full(len(moment), RIDGE)
        penalty[0] = 1e-6
        return np.asarray(np.linalg.solve(gram + np.diag(penalty), moment))


def fit_spread(
    known: Evaluations, rasch: Rasch, design: NDArray[np.float64], rows: NDArray[np.int64], regression: Regression
) -> NDArray[np.float32]:
    """`General.spread`, (1,), from benchmarks left out of the difficulty one at a time.

    It is the mean squared difference of a model's mean score on a benchmark that was left out and its mean P_general there, in
    units of p (1 - p), all benchmarks alike.
    """
    total, unit = 0.0, 0.0
    difficulty = np.zeros(len(known.kind))
    read = np.zeros(len(known.kind), np.bool_)
    read[rows] = True
    for left_out in regression.grams:
        mine = np.flatnonzero((known.kind[known.query] == left_out) & read[known.query])
        here = rows[known.kind[rows] == left_out]
        difficulty[here] = design[known.kind[rows] == left_out] @ regression.solution(without=left_out)
        query, model = known.query[mine], known.model[mine]
        p = known.floor[query] + (1 - known.floor[query]) / (1 + np.exp(difficulty[query] - rasch.ability[model]))
        number = np.bincount(model, minlength=known.models)
        some = number > 0
        error = np.bincount(model, known.score[mine] - p, known.models)[some] / number[some]
        total += float((error**2).mean())
        unit += float((np.bincount(model, p * (1 - p), known.models)[some] / number[some]).mean())
    return _float32(np.array([total / unit if unit else LARGEST_SPREAD]).clip(max=LARGEST_SPREAD))


def _domain_difficulty(
    features: FeatureMap, q: NDArray[np.float32], difficulty: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The mean difficulty of the queries of each domain, weighted by its posterior, (C,), float32."""
    share = features(q).domains.astype(np.float64)  # (n, C)
    mean = difficulty.mean() if len(difficulty) else 0.0
    return _float32((share.T @ difficulty + mean) / (share.sum(axis=0) + 1))


def _float32(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
