"""Measures onboarding: models that training never saw, from few probes, drawn at random or chosen, as scored or corrected.

    python -m research.measure_onboarding DATA... [--checkpoint FOLDER] [--split test] [--draws 5] [--model NAME ...]

The bank of each model has 700 queries of split `train` that it and at least four known models answered; its traffic, by which
probes are chosen, is 200 other train queries that it answered, of which no score is read. Judged on the other split: Brier score,
mean absolute error of the mean score on each benchmark, root mean square difference of P(correct) to that from all train
evaluations, and routing accuracy, macro over the older pools, where all new models are embedded from so many probes and the known
ones from all.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.make_known_difficulty import known_residuals
from router.data.dataset import Dataset, load_datasets
from router.data.pools import MACRO, macros, pools, routed_scores
from router.model.embedding import Embedding, Embeddings
from router.model.predictor import Predictor
from router.model.query_reader import Asked
from router.model.serving import Router
from router.probes.choice import SPREAD, choose_probes
from router.probes.difficulty import PSEUDO_MODELS, corrected
from router.train.evaluate import predict_all

SIZES = (8, 16, 32, 64, 128)
BANK, TRAFFIC = 700, 200
LEAST_EVALUATIONS = 1000  # train evaluations of a model that is measured
LEAST_KNOWN = 4  # models that a bank's query needs
LEAST_QUERIES = 20  # of a benchmark, for its error
METHODS = ("random", "random, corrected", "chosen", "chosen, corrected")
MEASURES = ("Brier", "error of benchmarks, points", "rms to all", "routing, %")
Array = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--model", action="append", default=[], help="measure only these")
    arguments = parser.parse_args()
    folder = arguments.checkpoint
    router = Router.load() if folder is None else Router.load(folder, [folder / "space.safetensors"])
    data = load_datasets(arguments.data).without(router.card["data"]["excluded_benchmarks"])
    study = Study.of(router, data, arguments.split, arguments.model)
    explained, before, after = difficulty_explains(known_residuals(router, data, study.q, "val"))
    print(f"val: β {explained:.2f} takes the variance of residuals from {before:.3f} to {after:.3f}")
    print(f"checkpoint {router.checkpoint[:12]}, split {arguments.split}, {arguments.draws} draws of {BANK} probes")
    print("models:", ", ".join(data.models[m] for m in study.models))
    every = study.measured({m: [study.everything(m)] for m in study.models})[0]
    print(
        "from all evaluations:", ", ".join(f"{name} {value:.4f}" for name, value in zip(MEASURES, every, strict=True))
    )
    found = np.array([study.draw(seed) for seed in range(arguments.draws)])  # (draws, methods, sizes, measures)
    _print_tables(found, every[MEASURES.index("routing, %")])


def difficulty_explains(residuals: Array) -> tuple[float, float, float]:
    """β, by least squares of known models' residuals on the difficulty that the other models show, and their variance without and
    with it.

    Args:
        residuals: (M, Q); NaN where there is none.
    """
    seen = ~np.isnan(residuals)
    own = np.where(seen, residuals, 0).astype(np.float64)
    others = seen.sum(axis=0) - seen
    difficulty = (own.sum(axis=0) - own) / (others + PSEUDO_MODELS)
    x, y = difficulty[seen & (others > 0)], own[seen & (others > 0)]
    beta = float(x @ y / (x @ x))
    return beta, float((y**2).mean()), float(((y - beta * x) ** 2).mean())


@dataclass(frozen=True)
class Study:
    """What is measured, and on what.

    Attributes:
        models: indices of the new models.
        q: query encodings, (Q, d_q).
        difficulty, known: mean residual of the known models on each train query, and their number, (Q,).
        judged: indices of the queries of the split, (n,).
        asked: the same, read.
        complete: P(correct) from all train evaluations, (M, Q); NaN outside the split.
    """

    router: Router
    data: Dataset
    split: str
    models: tuple[int, ...]
    q: Array
    difficulty: NDArray[np.float64]
    known: NDArray[np.int64]
    judged: NDArray[np.int64]
    asked: Asked
    complete: Array

    @classmethod
    def of(cls, router: Router, data: Dataset, split: str, only: Sequence[str]) -> "Study":
        """The study of the models marked `onboarding`."""
        q = router.encoder.encode(data.prompts)
        train = (~np.isnan(data.scores)) & (data.splits == "train")
        new = np.flatnonzero(data.onboarding & (train.sum(axis=1) >= LEAST_EVALUATIONS)).tolist()
        models = tuple(m for m in new if not only or data.models[m] in only)
        residuals = known_residuals(router, data, q, "train")
        known = (~np.isnan(residuals)).sum(axis=0)
        difficulty = np.nansum(residuals, axis=0, dtype=np.float64) / np.maximum(known, 1)
        judged = data.where(split)
        asked = router.locus.asked(q[judged], graded=True)
        complete = predict_all(router.locus, data, q, router.space, split)
        return cls(router, data, split, models, q, difficulty, known, judged, asked, complete)

    def everything(self, model: int) -> Embedding:
        """The embedding from all train evaluations."""
        rows = np.flatnonzero(~np.isnan(self.data.scores[model]) & (self.data.splits == "train"))
        return self.embed(model, rows, "random")

    def embed(self, model: int, rows: NDArray[np.int64], method: str) -> Embedding:
        """The embedding from the evaluations of some queries."""
        y = self.data.scores[model, rows].astype(np.float64)
        if method.endswith("corrected"):
            y = corrected(y, self.difficulty[rows], self.known[rows])
        return self.router.embed(self.q[rows], y, self.data.models[model], corrected=True)

    def draw(self, seed: int) -> list[list[list[float]]]:
        """The measures of one draw of banks, by method and size."""
        probes: dict[tuple[str, int], NDArray[np.int64]] = {}
        for m in self.models:
            probes["random", m], probes["chosen", m] = self.probes(m, seed)
        found = []
        for method in METHODS:
            chosen = {m: probes[method.partition(",")[0], m] for m in self.models}
            embeddings = {m: [self.embed(m, rows[:n], method) for n in SIZES] for m, rows in chosen.items()}
            found.append(self.measured(embeddings))
        return found

    def probes(self, model: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Queries of a draw's bank in the order in which they are asked: at random, and chosen."""
        rng = np.random.default_rng((seed, model))
        answered = ~np.isnan(self.data.scores[model]) & (self.data.splits == "train")
        bank = rng.permutation(np.flatnonzero(answered & (self.known >= LEAST_KNOWN)))[:BANK]
        answered[bank] = False
        traffic = self.q[rng.permutation(np.flatnonzero(answered))[:TRAFFIC]]
        kinds = self.data.benchmarks[bank].tolist()
        first = choose_probes(self.router, self.q[bank], kinds, SPREAD, seed=seed)
        embedding = self.embed(model, bank[first], "corrected")
        rest = choose_probes(
            self.router,
            self.q[bank],
            kinds,
            max(SIZES) - SPREAD,
            embedding=embedding,
            asked=first,
            traffic_q=traffic,
        )
        return bank[: max(SIZES)], bank[first + rest]

    def measured(self, embeddings: dict[int, list[Embedding]]) -> list[list[float]]:
        """The measures where the new models have these embeddings, some of each model -> as many lists."""
        number = len(next(iter(embeddings.values())))
        p = {m: self._predicted(of_model) for m, of_model in embeddings.items()}  # (n, number) each
        found = []
        for i in range(number):
            value = self.complete.copy()
            for m in self.models:
                value[m, self.judged] = p[m][:, i]
            problems = pools(self.data, self.split)
            routed = macros({pool.name: float(routed_scores(self.data, pool, value).mean()) for pool in problems})
            errors = np.mean([self._errors(m, p[m][:, i]) for m in self.models], axis=0)
            found.append([*errors.tolist(), 100 * routed[MACRO]])
        return found

    def _predicted(self, embeddings: list[Embedding]) -> Array:
        """P(correct) of embeddings on the judged queries, (n, k)."""
        return Predictor(self.router.locus, Embeddings.of(embeddings)).predict_asked(self.asked).p_correct

    def _errors(self, model: int, p: Array) -> tuple[float, float, float]:
        """Brier score, error of benchmarks in points, rms difference to all, of P(correct) on the judged queries, (n,)."""
        y = self.data.scores[model, self.judged]
        seen = ~np.isnan(y)
        kinds = self.data.benchmarks[self.judged]
        levels = [
            100 * abs(float((p - y)[here].mean()))
            for kind in np.unique(kinds[seen])
            if (here := seen & (kinds == kind)).sum() >= LEAST_QUERIES
        ]
        away = p - self.complete[model, self.judged]
        brier = float(((p - y)[seen] ** 2).mean())
        return brier, float(np.mean(levels)), float(np.sqrt((away[seen] ** 2).mean()))


def _print_tables(found: NDArray[np.float64], routing_of_all: float) -> None:
    """One table per measure: mean over draws ± standard deviation; for routing also the loss against all evaluations.

    Args:
        found: (draws, methods, sizes, measures).
    """
    for k, measure in enumerate(MEASURES):
        print(f"\n{measure}\n\n| |{' | '.join(map(str, SIZES))} |\n|---|{'---:|' * len(SIZES)}")
        digits = 4 if measure == "Brier" else 3 if measure.startswith("rms") else 2
        for i, method in enumerate(METHODS):
            cells = []
            for j in range(len(SIZES)):
                values = found[:, i, j, k]
                cell = f"{values.mean():.{digits}f} ± {values.std(ddof=1) if len(values) > 1 else 0:.{digits}f}"
                lost = f" ({routing_of_all - values.mean():+.2f})" if measure.startswith("routing") else ""
                cells.append(cell + lost)
            print(f"| {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
