"""Measures how near `Router.refine` comes to embedding old and new evaluations together, on models that training never saw.

    python -m research.measure_refinement DATA...

Root mean square difference of P(correct) and distance of the places, to the embedding of all, on the queries that are not in split
`train`; Brier scores there; and what the old embedding is taken to be worth, which should be the number of its evaluations.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.measure_onboarding import LEAST_EVALUATIONS
from router.data.dataset import load_datasets
from router.model.embedding import Embeddings
from router.model.predictor import Predictor
from router.model.serving import Router

OLD, NEW = (64, 256, 700), (32, 128, 500)
COLUMNS = (
    "rms, before",
    "rms, refined",
    "place, before",
    "place, refined",
    "Brier, before",
    "Brier, refined",
    "Brier, all",
    "standard errors, refined / all",
    "worth",
)


def main(folders: Sequence[Path]) -> None:
    router = Router.load()
    data = load_datasets(folders).without(router.card["data"]["excluded_benchmarks"])
    q = router.encoder.encode(data.prompts)
    in_train = data.splits == "train"
    found: dict[tuple[int, int], list[list[float]]] = {}
    for m in np.flatnonzero(data.onboarding).tolist():
        answered = ~np.isnan(data.scores[m])
        train, held = np.flatnonzero(answered & in_train), np.flatnonzero(answered & ~in_train)
        if len(train) < LEAST_EVALUATIONS:
            continue
        order, y = np.random.default_rng(m).permutation(train), data.scores[m]
        asked, name = router.locus.asked(q[held], graded=True), data.models[m]
        for old in OLD:
            before = router.embed(q[order[:old]], y[order[:old]], name)
            worth = float(router.graded_weights(before).sum())
            for new in NEW:
                rows, every = order[old : old + new], order[: old + new]
                refined = router.refine(before, q[rows], y[rows])
                together = router.embed(q[every], y[every], name)
                predictor = Predictor(router.locus, Embeddings.of([before, refined, together]))
                p = predictor.predict_asked(asked).p_correct
                errors = [float(((p[:, i] - y[held]) ** 2).mean()) for i in range(3)]
                places = [float(np.linalg.norm(one.z - together.z)) for one in (before, refined)]
                away = [_rms(p[:, 0], p[:, 2]), _rms(p[:, 1], p[:, 2])]
                surer = float(np.sqrt(refined.variances / together.variances).mean())
                found.setdefault((old, new), []).append([*away, *places, *errors, surer, worth])
    print(
        f"{len(found[OLD[0], NEW[0]])} models\n\n| old | new | {' | '.join(COLUMNS)} |\n|{'---:|' * (2 + len(COLUMNS))}"
    )
    for (old, new), rows_of in found.items():
        *values, worth = np.mean(rows_of, axis=0).tolist()
        print(f"| {old} | {new} | {' | '.join(f'{value:.4f}' for value in values)} | {worth:.0f} |")


def _rms(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.sqrt(((a - b) ** 2).mean()))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
