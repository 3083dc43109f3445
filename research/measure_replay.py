"""Measures how far replay and advice are from the truth, on evaluations in which every model answered every query.

    python -m research.measure_replay DATA

The logged requests are drawn with replacement from the test queries of mmlu_pro, the models are those that answered all of them.
They are routed with the shipped router at cost weight 60; five other policies are estimated and compared with what their choices
really scored, on the same requests. A query costs its prompt's tokens and an answer of 500 tokens.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_dataset
from router.explore.model_prices import CHARS_PER_TOKEN, TokenPrice, read_prices
from router.model.policy import Policy, choose_each
from router.model.serving import Router
from router.replay.advice import Advisor, Traffic
from router.replay.audit import audited, plan
from router.replay.estimate import Estimate
from router.replay.readout import Batch, ReadOut, Side

ANSWER_TOKENS = 500
LOGGED = 60.0  # the logged policy's cost weight, 1/USD
REQUESTS = 10_000  # of one run
DEAR = "google/gemini-1.5-pro-002"  # the best of the models, which one policy lacks
TRIAL_WEIGHTS = (0.0, 10.0, 30.0, 60.0, 150.0, 300.0)


@dataclass(frozen=True)
class Matrix:
    """n queries and M models, all of which answered all queries.

    Attributes:
        scores: (n, M), in [0, 1].
        traffic: predictions and prices.
    """

    models: tuple[str, ...]
    scores: NDArray[np.float64]
    traffic: Traffic

    def routed(self, cost_weight: float, without: Sequence[str] = ()) -> NDArray[np.int64]:
        """The choices at a cost weight, (n,)."""
        t = self.traffic
        able = t.able & ~np.isin(self.models, without)
        predicted = t.p_correct, t.standard_error, t.price_usd
        return choose_each(*predicted, able, Policy("replay"), np.full(len(able), cost_weight))

    def score(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """What these choices scored, (n,)."""
        scores: NDArray[np.float64] = self.scores[np.arange(len(chosen)), chosen]
        return scores


@dataclass(frozen=True)
class Row:
    """How well one policy was estimated, in points; means and standard deviations over runs.

    Attributes:
        share: of the requests on which it differs from the logged policy.
        readout: absolute error of its accuracy by the read-out.
        difference: absolute error of its difference to the logged policy by the read-out.
        covered: share of the runs in which the read-out's interval contains that difference.
        audits: number of audits -> absolute error of the difference, and share of the runs in which the interval contains it.
    """

    name: str
    share: float
    readout: tuple[float, float]
    difference: tuple[float, float]
    covered: float
    audits: dict[int, tuple[float, float, float]]


def read_matrix(folder: Path, router: Router) -> Matrix:
    """The test queries of mmlu_pro and the models that answered at least 90% of them and have a price; in the queries, all did.

    Raises:
        DataError: the folder has no evaluations.
    """
    data, prices = load_dataset(folder), read_prices(folder / "prices.csv")
    queries = np.flatnonzero((data.benchmarks == "mmlu_pro") & (data.splits == "test"))
    known = _candidates(data, router, prices)
    models = np.array([m for m in known if (~np.isnan(data.scores[m, queries])).mean() > 0.9], np.int64)
    scores = data.scores[np.ix_(models, queries)].T.astype(np.float64)
    queries, scores = queries[~np.isnan(scores).any(axis=1)], scores[~np.isnan(scores).any(axis=1)]
    names = tuple(data.models[m] for m in models.tolist())
    prompts = [data.prompts[i] for i in queries.tolist()]
    predicted, kinds = router.scorer(names).predict_by_kind(router.encoder.encode(prompts))
    usd = np.array(
        [[prices[name].usd(len(prompt) / CHARS_PER_TOKEN, ANSWER_TOKENS) for name in names] for prompt in prompts]
    )
    able = np.ones(scores.shape, np.bool_)
    return Matrix(names, scores, Traffic(predicted.p_correct, predicted.standard_error, usd, able, kinds))


def policies(matrix: Matrix) -> dict[str, NDArray[np.int64]]:
    """The choices of the five policies by name."""
    weights = {"cost weight 150": 150.0, "cost weight 30": 30.0, "best (0)": 0.0, "cost weight 600": 600.0}
    without = {f"without {DEAR.partition('/')[2]}": matrix.routed(LOGGED, [DEAR])}
    return without | {name: matrix.routed(weight) for name, weight in weights.items()}


def measure(matrix: Matrix, runs: int, audits: Sequence[int] = (100, 200, 500)) -> list[Row]:
    """Estimates the five policies in `runs` draws of requests."""
    logged = matrix.routed(LOGGED)
    rows = []
    for name, other in policies(matrix).items():
        found = [_one_run(matrix, logged, other, audits, seed) for seed in range(runs)]
        errors = np.array([run[0] for run in found])
        of_audits = {
            number: (
                *_spread([run[1][number][0] for run in found]),
                float(np.mean([run[1][number][1] for run in found])),
            )
            for number in audits
        }
        share = float((logged != other).mean())
        covered = float(errors[:, 2].mean())
        rows.append(Row(name, share, _spread(errors[:, 0]), _spread(errors[:, 1]), covered, of_audits))
    return rows


def _one_run(
    matrix: Matrix, logged: NDArray[np.int64], other: NDArray[np.int64], audits: Sequence[int], seed: int
) -> tuple[list[float], dict[int, tuple[float, bool]]]:
    """Errors in points of the read-out, and of each audit with whether its interval contains the truth."""
    drawn = np.random.default_rng(seed).integers(0, len(matrix.scores), REQUESTS)
    t = matrix.traffic
    sides = [Side.of(t.p_correct[drawn], t.standard_error[drawn], choice[drawn]) for choice in (logged, other)]
    readout = ReadOut(len(matrix.models), int(t.kinds.max()) + 1)
    readout.add(Batch(t.kinds[drawn], *sides))
    gained = (matrix.score(other) - matrix.score(logged))[drawn]
    truth, difference = float(gained.mean()), readout.difference()
    errors = [
        100 * abs(readout.other().value - float(matrix.score(other)[drawn].mean())),
        100 * abs(difference.value - truth),
        float(_contains(difference, truth)),
    ]
    differ = np.flatnonzero(logged[drawn] != other[drawn])
    p, q = (side.p_correct[differ] for side in sides)
    found = {}
    for number in audits:
        asked = plan(q - p, p * (1 - p) + q * (1 - q), number, seed)
        estimate = audited(REQUESTS, q - p, asked.strata, asked.drawn, gained[differ][asked.drawn])
        assert estimate is not None
        found[number] = 100 * abs(estimate.value - truth), _contains(estimate, truth)
    return errors, found


@dataclass(frozen=True)
class Trials:
    """Additions of a left-out model to a portfolio.

    Attributes:
        trials, named, right: numbers of trials, of those in which the addition was named, and of those in which it was right to.
        gain, truth: means of the predicted and the true gain of the named ones, in points.
        missed: additions with a true gain of more than a point that were not named.
    """

    trials: int
    named: int
    right: int
    gain: float
    truth: float
    missed: int


def trials(matrix: Matrix, number: int, seed: int = 0) -> Trials:
    """Leaves one model out of random portfolios of 3 to 6 models and asks whether to add it.

    The true gain is that of the changed portfolio, at equal cost, on all queries.
    """
    rng = np.random.default_rng(seed)
    named: list[tuple[float, float]] = []
    missed = 0
    for _ in range(number):
        size = int(rng.integers(3, 7))
        left_out, *present = rng.choice(len(matrix.models), size, replace=False).tolist()
        advisor = Advisor(matrix.traffic, present, float(rng.choice(TRIAL_WEIGHTS)))
        after = advisor.at_cost([*present, left_out], advisor.now.usd)
        gain = advisor.gain(after)
        truth = float((matrix.score(after.chosen) - matrix.score(advisor.now.chosen)).mean())
        if gain.sure > 0:
            named.append((gain.value, truth))
        else:
            missed += truth > 0.01
    gains = np.array(named).reshape(-1, 2)
    means = gains.mean(axis=0).tolist() if named else [0.0, 0.0]
    return Trials(number, len(named), int((gains[:, 1] > 0).sum()), 100 * means[0], 100 * means[1], missed)


def _candidates(data: Dataset, router: Router, prices: Mapping[str, TokenPrice]) -> list[int]:
    known = router.space.models
    return [m for m, name in enumerate(data.models) if name in prices and name in known and not data.onboarding[m]]


def _contains(of: Estimate, truth: float) -> bool:
    return of.low <= truth <= of.high


def _spread(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))


def main(folder: Path) -> None:
    """Prints the tables of results/replay.md."""
    matrix = read_matrix(folder, Router.load())
    print(f"{len(matrix.models)} models, {len(matrix.scores)} queries; 200 runs of {REQUESTS} requests")
    print("| other policy | differs | read-out | read-out, difference | within interval | 100 audits | 200 | 500 |")
    print("|---|---|---|---|---|---|---|---|")
    for row in measure(matrix, 200):
        audits = " | ".join(f"{mean:.2f} ± {sd:.2f}, {covered:.0%}" for mean, sd, covered in row.audits.values())
        readout, difference = (f"{mean:.2f} ± {sd:.2f}" for mean, sd in (row.readout, row.difference))
        print(f"| {row.name} | {row.share:.2f} | {readout} | {difference} | {row.covered:.0%} | {audits} |")
    print("\n| seed | trials | named | right | gain by prediction | true gain | missed gains above a point |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(5):
        t = trials(matrix, 200, seed)
        print(f"| {seed} | {t.trials} | {t.named} | {t.right} | {t.gain:.2f} | {t.truth:.2f} | {t.missed} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
