"""Measures how often models are right together, for `gateway/ensemble/expected.py` and docs/ensembles.md.

    python -m research.measure_joint_errors SPLIT DATA...

SPLIT is `val`, on which ρ was chosen, or `test`. For each pool, over the queries for which the policy `panel` would ask three
models, without code and prose: how often the two most probable ones are both right, in the records, with independent errors,
and with ρ; the ρ of the highest likelihood; then the gain of the vote over one call and its calls, from the records and as
expected. Wrong answers are drawn as `gateway.ensemble.expected` says.
"""

import sys
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from gateway.config.ensemble import Ensemble
from gateway.ensemble.expected import COMMON, SAME_WRONG, expected
from gateway.ensemble.key import Key
from gateway.ensemble.plan import Member, Plan
from gateway.ensemble.vote import Ballot, decided, tally, weight
from research.bench.tables.simulated_answers import is_free
from research.measure_ensembles import predictions
from router.data.dataset import Dataset, load_datasets
from router.data.pools import Pool, group, pools
from router.model.checkpoint import load_checkpoint
from router.model.serving import Router

PANEL = Ensemble()
GRID = np.arange(0, 1, 0.05)
DRAWS = 20
FEWEST = 30  # queries of a pool
NODES = 31

Floats = NDArray[np.float64]


def main(split: str, folders: Sequence[Path]) -> None:
    router, data = Router.load(), load_datasets(folders)
    data = data.without(set(load_checkpoint().card["data"]["excluded_benchmarks"]) & set(data.benchmarks.tolist()))
    predicted, rng = predictions(router, data, split), np.random.default_rng(0)
    totals: dict[str | None, Floats] = {}
    print("| pool | queries | both right | independent | ρ = 0.7 | best ρ | gain | expected | calls | expected |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for pool in pools(data, split):
        p, right = asked(data, pool, predicted)
        if len(p) < FEWEST:
            continue
        fit = np.array([log_likelihood(p, right, common) for common in GRID])
        totals[group(pool.name)] = totals.get(group(pool.name), 0) + fit
        print(f"| {pool.name} | {len(p)} | {' | '.join(row(p, right, fit, rng))} |")
    for name, fit in totals.items():
        best = GRID[fit.argmax()]
        print(f"\n{name}: best ρ {best:.2f}; log likelihood {fit[0] - fit.max():.0f} less with independent errors")


def asked(data: Dataset, pool: Pool, predicted: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
    """P(correct) of the three most probable models, and which of them are right, (n, 3) each, where the policy asks three."""
    votable = [not is_free(str(data.benchmarks[i]), str(data.categories[i])) for i in pool.queries.tolist()]
    at = np.ix_(pool.models, pool.queries[votable])
    p, scores = predicted[at].T.astype(np.float64), data.scores[at].T
    p[np.isnan(scores)] = np.nan
    order = np.argsort(-np.nan_to_num(p, nan=-1.0), axis=1)[:, : PANEL.size]
    p, scores = np.take_along_axis(p, order, 1), np.take_along_axis(scores, order, 1)
    near = (p[:, 0] < PANEL.p_below) & (p[:, 0] - p[:, -1] < PANEL.gap_below)  # False for NaN
    weights = np.vectorize(weight, otypes=[np.float64])(np.nan_to_num(p, nan=0.5))
    near &= weights[:, 0] <= weights[:, 1:].sum(axis=1)
    return p[near], scores[near] >= 0.5


def log_likelihood(p: Floats, right: NDArray[np.bool_], common: float) -> float:
    """Of which models are right, with ρ = `common`."""
    given, share = right_given(p, common)
    pattern = np.where(right, given, 1 - given).prod(axis=2)
    return float(np.log(share @ pattern).sum())


def right_given(p: Floats, common: float) -> tuple[Floats, Floats]:
    """As `gateway.ensemble.expected.right_given`, for n queries: (nodes, n, 3) and (nodes,)."""
    u, share = np.polynomial.hermite_e.hermegauss(NODES)
    quantiles = norm.ppf(p.clip(0.01, 0.99))
    return norm.cdf((quantiles - sqrt(common) * u[:, None, None]) / sqrt(1 - common)), share / share.sum()


def row(p: Floats, right: NDArray[np.bool_], fit: Floats, rng: np.random.Generator) -> Iterator[str]:
    """The cells of a pool."""
    given, share = right_given(p[:, :2], COMMON)
    yield f"{right[:, :2].all(axis=1).mean():.3f}"
    yield f"{p[:, :2].prod(axis=1).mean():.3f}"
    yield f"{(share @ given.prod(axis=2)).mean():.3f}"
    yield f"{GRID[fit.argmax()]:.2f}"
    plans = [
        Plan(PANEL, tuple(Member(i, "", x, weight(x), None) for i, x in enumerate(one)), (), "") for one in p.tolist()
    ]
    predicted = [(found.p_correct, found.calls) for found in map(expected, plans)]
    recorded = [voted(plan, one, rng) for plan, one in zip(plans, right.tolist(), strict=True)]
    gain = np.array([got - one[0] for (got, _), one in zip(recorded, right.tolist(), strict=True)])
    yield f"{100 * gain.mean():+.1f} ± {100 * gain.std() / sqrt(len(gain)):.1f}"
    yield f"{100 * np.mean([got - one[0] for (got, _), one in zip(predicted, p.tolist(), strict=True)]):+.1f}"
    yield f"{np.mean([calls for _, calls in recorded]):.2f}"
    yield f"{np.mean([calls for _, calls in predicted]):.2f}"


def voted(plan: Plan, right: Sequence[bool], rng: np.random.Generator) -> tuple[float, float]:
    """How often the leading answer is right, and the calls, over draws of the wrong answers."""
    correct, calls = 0, 0
    for _ in range(DRAWS):
        ballots = list[Ballot]()
        for i, member in enumerate(plan.members):
            if i >= plan.ensemble.first and decided(ballots, [one.weight for one in plan.members[i:]]):
                break
            wrong = "tempting" if rng.random() < sqrt(SAME_WRONG) else f"own {i}"
            ballots.append(Ballot(i, member.p_correct, member.weight, Key("free", "right" if right[i] else wrong)))
        author = tally(ballots).author
        correct += author is not None and right[author]
        calls += len(ballots)
    return correct / DRAWS, calls / DRAWS


if __name__ == "__main__":
    main(sys.argv[1], [Path(folder) for folder in sys.argv[2:]])
