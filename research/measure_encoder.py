"""Measures a checkpoint on held-out queries: routing and P(correct) from few evaluations, geometry, standard errors.

    python -m research.measure_encoder DATA... [--checkpoint FOLDER] [--split test] [--draws 5]

Models are embedded from n of their train evaluations, drawn at random. Beside ours: ours without the models' names, the plain
read-out (the closed form alone: no network, no name, no general term), and what the same evaluations say without any router.
Three groups of models: `known`, on which the checkpoint was trained with all their train evaluations; `onboarding`, which
training never saw (they are routed among the known ones, which are known from all their evaluations); and `all`, both from n.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.calibration import calibration
from research.bench.tables.repeats import mean, spread
from research.bench.tables.sample_efficiency import evaluations_needed
from research.encoder_errors import FACTORS, SIZES_OF_ERRORS, coverage, domain_errors
from research.encoder_geometry import GEOMETRY_POOL, correlations_of
from research.encoder_predictions import OURS, PREDICTING, READOUT, UNNAMED, Comparison, Predictions, of_split
from router.data.dataset import Dataset, load_datasets
from router.data.pools import MACROS, Pool, macros, pools, routed_scores
from router.model.checkpoint import load_checkpoint
from router.model.locus import Locus

SIZES = (8, 16, 32, 64, 128, 256, 512, None)
BINS = 10  # of the ECE
LOWEST = 0.01  # of P(correct), for the cross-entropy of the rows that may say 0
KNOWN, ONBOARDING, EVERYONE = "known", "onboarding", "all"
GROUPS = (KNOWN, ONBOARDING, EVERYONE)
EVERYTHING = "all evaluations"
ROUTING, MEASURES = "routing", ("accuracy", "brier", "cross-entropy", "ece")
RESAMPLES = 500
Scores = dict[tuple[str, str, str, str], float]  # (group, router, measure, pool or average) -> value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    loaded = load_checkpoint(arguments.checkpoint)
    data = load_datasets(arguments.data).without(loaded.card["data"]["excluded_benchmarks"])
    encoder = loaded.encoder()
    q = encoder.encode(data.prompts)
    locus = Locus.restore(loaded.weights, loaded.card["config"])
    comparison = Comparison.of(locus, data, q, encoder.text_dim, arguments.split)
    print(f"checkpoint {loaded.id[:12]}, split {arguments.split}, {arguments.draws} draws", flush=True)
    _print_geometry(comparison)
    _print_errors(comparison, arguments.draws)
    held = of_split(data, arguments.split)
    complete = comparison.predictions(None, 0)
    found: dict[int | None, list[Scores]] = {
        n: [_scores(held, comparison.predictions(n, draw), complete) for draw in range(arguments.draws)]
        for n in SIZES[:-1]
    }
    found[None] = [_scores(held, complete, complete)]
    _print_scores(found)
    _print_factors(comparison, found)


def _scores(held: Dataset, drawn: Mapping[str, Predictions], complete: Mapping[str, Predictions]) -> Scores:
    """All measures of one draw.

    Args:
        drawn, complete: predictions from the sample, and from all train evaluations.
    """
    new = held.onboarding
    found: Scores = {}
    for group, candidates, judged in ((KNOWN, ~new, ~new), (ONBOARDING, None, new), (EVERYONE, None, None)):
        every = np.ones(len(new), np.bool_)
        problems = list(pools(held, held.splits[0], None if candidates is None else ~candidates))
        for router, p in drawn.items():
            if group == ONBOARDING:
                p = np.where(new[:, None], p, complete[router])
            routed = {pool.name: float(routed_scores(held, pool, p).mean()) for pool in problems}
            for name, value in {**routed, **macros(routed)}.items():
                found[group, router, ROUTING, name] = value
            if router in PREDICTING:
                for name, values in _errors(held, problems, p, every if judged is None else judged).items():
                    found.update({(group, router, measure, name): value for measure, value in values.items()})
    return found


def _errors(
    held: Dataset, problems: Sequence[Pool], p: Predictions, judged: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    """Errors of P(correct) for some models, (M,): by pool, averages over pools, and over all evaluations of the pools."""
    seen = np.zeros(p.shape, np.bool_)
    known = ~np.isnan(held.scores) & ~np.isnan(p) & judged[:, None]
    found: dict[str, dict[str, float]] = {}
    for pool in problems:
        at = np.ix_(pool.models, pool.queries)
        if known[at].any():
            found[pool.name] = errors_of(p[at][known[at]], held.scores[at][known[at]])
            seen[at] |= known[at]
    averages = {measure: macros({name: of[measure] for name, of in found.items()}) for measure in MEASURES}
    for label in averages[MEASURES[0]]:
        found[label] = {measure: averages[measure][label] for measure in MEASURES}
    return {**found, EVERYTHING: errors_of(p[seen], held.scores[seen])}


def errors_of(p: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, float]:
    """Errors of n predictions of scores; a fractional score counts as what it is."""
    bent = np.clip(p.astype(np.float64), LOWEST, 1 - LOWEST)
    calibrated = calibration(p, y, BINS)
    return {
        "accuracy": float((1 - np.abs((p >= 0.5) - y)).mean()),
        "brier": calibrated["brier"],
        "cross-entropy": float(-(y * np.log(bent) + (1 - y) * np.log(1 - bent)).mean()),
        "ece": calibrated["ece"],
    }


def _print_scores(found: Mapping[int | None, Sequence[Scores]]) -> None:
    """One line per group, measure, average or pool, and router: means over draws, and their standard deviations."""
    print("\ngroup | measure | pools | router | " + " | ".join(str(n or "all") for n in found))
    rows = list(dict.fromkeys(key for draws in found.values() for of in draws for key in of))
    averages = (*MACROS, EVERYTHING)
    scopes = (*averages, *dict.fromkeys(key[3] for key in rows if key[3] not in averages))
    for scope in scopes:
        for group in GROUPS:
            for measure in (ROUTING, *MEASURES):
                for key in rows:
                    if (key[0], key[2], key[3]) == (group, measure, scope):
                        print(f"{group} | {measure} | {scope} | {key[1]} | {_cells(found, key)}")


def _cells(found: Mapping[int | None, Sequence[Scores]], key: tuple[str, str, str, str]) -> str:
    digits = 2 if key[2] in (ROUTING, "accuracy") else 4
    scale = 100 if digits == 2 else 1
    cells = []
    for draws in found.values():
        values = [{"": scale * of[key]} for of in draws if key in of]
        between = spread(values)
        cells.append(f"{mean(values)['']:.{digits}f}" + (f" ± {between['']:.{digits}f}" if between else ""))
    return " | ".join(cells)


def _print_factors(comparison: Comparison, found: Mapping[int | None, Sequence[Scores]]) -> None:
    """How many times as many evaluations the read-out needs to reach ours; intervals over draws (bootstrap, 95%)."""
    data = comparison.data
    counts = (~np.isnan(data.scores[:, data.where("train")])).sum(axis=1)
    print("\nevaluations of the plain read-out / of ours | " + " | ".join(str(n) for n in SIZES[:-1]))
    for group, members in (
        (KNOWN, ~data.onboarding),
        (ONBOARDING, data.onboarding),
        (EVERYONE, data.onboarding | True),
    ):
        for measure, sign in ((ROUTING, 1), ("accuracy", 1), ("brier", -1), ("cross-entropy", -1)):
            for scope in (*MACROS, EVERYTHING):
                for router in (OURS, UNNAMED):
                    if (group, router, measure, scope) in found[None][0]:
                        at = np.array([_typical(counts[members & (counts > 0)], n) for n in found])
                        curves = [
                            [
                                np.array([sign * of[group, name, measure, scope] for of in draws])
                                for draws in found.values()
                            ]
                            for name in (READOUT, router)
                        ]
                        cells = " | ".join(factors(at, *curves))
                        print(f"{group}, {measure}, {scope}, {router} | {cells}")


def _typical(counts: NDArray[np.int64], n: int | None) -> float:
    """The mean number of evaluations of models that have `counts`, when at most n of each are used."""
    return float((counts if n is None else np.minimum(counts, n)).mean())


def factors(
    at: NDArray[np.float64], plain: Sequence[NDArray[np.float64]], ours: Sequence[NDArray[np.float64]]
) -> Iterator[str]:
    """`2.3 [2.1, 2.6]` for each number of evaluations but the last.

    Args:
        at: numbers of evaluations, (S,).
        plain, ours: values of the draws at each of them, higher is better.
    """
    rng = np.random.default_rng(0)
    picks = [[rng.integers(len(draws), size=len(draws)) for draws in plain] for _ in range(RESAMPLES)]
    for i, size in enumerate(at[:-1]):
        value = evaluations_needed(at, np.array([draws.mean() for draws in plain]), float(ours[i].mean())) / size
        drawn = []
        for pick in picks:
            of_plain = np.array([draws[rows].mean() for draws, rows in zip(plain, pick, strict=True)])
            drawn.append(evaluations_needed(at, of_plain, float(ours[i][pick[i]].mean())) / size)
        low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")
        ends = (_factor(part, at[-1] / size) for part in (value, low, high))
        yield "{} [{}, {}]".format(*ends)


def _factor(value: float, most: float) -> str:
    """`2.3`, or `> 16.0` where the curve does not reach so high."""
    return f"{value:.1f}" if np.isfinite(value) else f"> {most:.1f}"


def _print_geometry(comparison: Comparison) -> None:
    print(
        f"\nPearson of distances against disagreement, {GEOMETRY_POOL}: z, rms difference of P over the pool's anchors, pairs"
    )
    for label, with_new in ((KNOWN, False), ("with onboarding", True)):
        z, p, pairs = correlations_of(comparison, with_new)
        print(f"{label}: {z:.3f} | {p:.3f} | {pairs}", flush=True)


def _print_errors(comparison: Comparison, draws: int) -> None:
    print("\nstandard errors: group | n | (model, domain) pairs | rms error | rms said, and of it kind and general")
    print("then for each factor of the variance: share within 1 and 2 standard errors, without | with sampling noise")
    for group in (ONBOARDING, KNOWN):
        for n in SIZES_OF_ERRORS:
            errors = domain_errors(comparison, n, draws, onboarding=group == ONBOARDING)
            print(f"{group} | {n} | {len(errors.error)} | {errors.rms:.4f} | {errors.rms_said}")
            for factor in FACTORS:
                without, with_noise = (coverage(errors, factor, noise=noise) for noise in (False, True))
                print(
                    f"    × {factor}: {without[0]:.3f} {without[1]:.3f} | {with_noise[0]:.3f} {with_noise[1]:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
