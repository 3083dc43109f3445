"""Measures quality and cost of the shipped evidence file on queries that are not in it, for the figures in docs/routing.md.

    python -m research.measure_evidence DATA...

Winner and runner-up of a test query are the two models of its pool with the highest P(correct) by the shipped router.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from router.data.dataset import Dataset, load_datasets
from router.data.pools import pools
from router.model.checkpoint import load_checkpoint
from router.model.evidence import evidence_file
from router.model.evidence_file import Evaluations
from router.model.locus import Locus
from router.model.serving import SPACE, Router
from router.train.evaluate import predict_all
from router.train.evidence_builder import PASS_SCORE

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)


def main(folders: Sequence[Path]) -> None:
    router, card = Router.load(), load_checkpoint().card
    data = load_datasets(folders).without(card["data"]["excluded_benchmarks"])
    q = router.encoder.encode(data.prompts)
    text = q[:, : router.encoder.text_dim]
    resident = _resident_kb()
    start = perf_counter()
    kept = Evaluations.load(evidence_file(SPACE))
    kept.nearest(text[0], kept.models[0], kept.models[1], 5)
    first_ms, resident = 1e3 * (perf_counter() - start), _resident_kb() - resident
    size = evidence_file(SPACE).stat().st_size

    nearest: dict[str, list[float]] = defaultdict(list)
    right: dict[bool, list[bool]] = defaultdict(list)
    taken_ms: list[float] = []
    recall: list[float] = []
    error: list[float] = []
    place = {int(query): i for i, query in enumerate(data.query_ids)}
    stored = np.array([place[query] for query in kept.query_ids.tolist()])
    for pool, i, winner, runner_up in _choices(data, q, router):
        names = data.models[winner], data.models[runner_up]
        start = perf_counter()
        found = kept.nearest(text[i], names[0], names[1], 5)
        taken_ms.append(1e3 * (perf_counter() - start))
        nearest[pool].append(found[0].similarity if found else -1.0)
        exact = text[stored] @ text[i]
        informative = np.flatnonzero(
            (data.scores[winner, stored] >= PASS_SCORE) & (data.scores[runner_up, stored] < PASS_SCORE)
        )
        best = stored[informative[np.argsort(-exact[informative])[:5]]]
        if len(best):
            recall.append(len({place[query.query_id] for query in found} & set(best.tolist())) / len(best))
        error += [query.similarity - float(text[place[query.query_id]] @ text[i]) for query in found]
        passed = data.scores[[winner, runner_up], i] >= PASS_SCORE
        if passed[0] != passed[1]:
            other = kept.nearest(text[i], names[1], names[0], 1)
            right[bool(found and (not other or found[0].similarity > other[0].similarity))].append(passed[0])

    _print_nearest(nearest)
    print(f"recall of the 5 nearest {np.mean(recall):.3f}")
    print(f"similarity: bias {np.mean(error):+.3f}, largest error {np.abs(error).max():.3f}")
    for closer, wins in right.items():
        side = "winner's" if closer else "runner-up's"
        print(
            f"nearest informative query on the {side} side: winner right in {100 * np.mean(wins):.1f}% of {len(wins)}"
        )
    print(f"ordered pairs of models with at least 5 queries: {100 * _pairs(kept, text[0]):.0f}%")
    print(f"file {size / 1e6:.2f} MB; resident memory {resident} kB more; first look-up {first_ms:.1f} ms")
    print(f"look-up: median {np.median(taken_ms):.2f} ms, 99th percentile {np.quantile(taken_ms, 0.99):.2f} ms")


def _print_nearest(nearest: dict[str, list[float]]) -> None:
    """Prints the share of test queries whose nearest evidence is above each level of similarity, by pool."""
    print("nearest above, % of test queries:", *LEVELS)
    every = [similarity for values in nearest.values() for similarity in values]
    for pool, values in [*nearest.items(), ("all", every)]:
        print(f"  {pool} ({len(values)})", *(f"{100 * np.mean(np.array(values) > level):.0f}" for level in LEVELS))


def _choices(data: Dataset, q: np.ndarray, router: Router) -> Iterator[tuple[str, int, int, int]]:
    """Pool, test query, winner and runner-up of every test query; the last three are indices into the dataset."""
    loaded = load_checkpoint()
    p = predict_all(Locus.restore(loaded.weights, loaded.card["config"]), data, q, router.space, "test")
    for pool in pools(data, "test"):
        for i in pool.queries.tolist():
            answered = [m for m in pool.models if not np.isnan(data.scores[m, i])]
            winner, runner_up, *_ = sorted(answered, key=lambda m: -p[m, i])
            yield pool.name, i, winner, runner_up


def _pairs(kept: Evaluations, text: np.ndarray) -> float:
    """The share of ordered pairs of models with at least five queries as evidence, in [0, 1]."""
    enough = [
        len(kept.nearest(text, winner, runner_up, 5)) == 5
        for winner in kept.models
        for runner_up in kept.models
        if winner != runner_up
    ]
    return float(np.mean(enough))


def _resident_kb() -> int:
    """Resident memory of this process, kB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
