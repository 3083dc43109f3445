"""A small world for the claim tables: twelve models of three families, two of which join later, and the rows fitted on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.evidence import Evidence
from research.bench.ours import Ours
from research.bench.rows import OURS, methods
from research.bench.runs import Runs
from research.bench.tables.context import Context
from research.bench.tables.kept import Kept
from research.bench.tuning import tune
from router.data.dataset import Dataset
from router.encode.encoder import normalise
from router.encode.surface import surface
from router.explore.model_prices import TokenPrice
from router.train.requests import Judged, judged_requests
from tests.research.bench.worlds import Table, dataset

KINDS = ("sums", "places")
# Chance of a right answer on (sums, places) by family; its members differ by a little.
FAMILIES = {"adders": (0.9, 0.25), "travellers": (0.2, 0.85), "dabblers": (0.5, 0.5)}
EACH = 4
LATER = (3, 11)  # models marked onboarding
TEXT_DIM = 8


def world(count: int = 500, seed: int = 0) -> tuple[Dataset, Table, dict[str, str]]:
    """Data, whole encodings (Q, 8 + surface), and the family of each model. Every model answered every query."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, count)
    families = [name for name in FAMILIES for _ in range(EACH)]
    chance = np.array([FAMILIES[name] for name in families]) + rng.uniform(-0.05, 0.05, (len(families), 2))
    scores = (rng.random((len(families), count)) < chance[:, kind]).astype(np.float32)
    splits = rng.choice(["train", "val", "test"], count, p=[0.6, 0.15, 0.25]).tolist()
    data = dataset([KINDS[k] for k in kind], splits, scores, [m in LATER for m in range(len(families))])
    text = normalise((np.eye(TEXT_DIM)[kind] + 0.2 * rng.normal(size=(count, TEXT_DIM))).astype(np.float32))
    q = np.concatenate([text, surface(data.prompts)], axis=1)
    return data, q, dict(zip(data.models, families, strict=True))


def everyday(count: int = 20, seed: int = 1) -> Judged:
    """Judged requests whose text encodings are like neither kind."""
    requests = judged_requests()
    prompts, difficulty = requests.prompts[:count], requests.difficulty[:count]
    text = normalise(np.random.default_rng(seed).normal(size=(count, TEXT_DIM)).astype(np.float32))
    return Judged(np.concatenate([text, surface(prompts)], axis=1), difficulty)


def context(folder: Path, names: Sequence[str] = ("kNN", "EmbedLLM", OURS)) -> Context:
    """The world with some rows, tuned with one seed, and ours."""
    data, q, families = world()
    ours = Kept(Ours(everyday(), folder / "classifiers"), folder / "routers")
    evidence: dict[bool, Evidence] = {
        of_ours: Evidence.of(data, _encoder_queue(q, of_ours)) for of_ours in (False, True)
    }
    rows = {}
    for method in methods([name for name in names if name != OURS]):
        rows[method.name] = tune(Runs(folder / "rows", evidence[False]), method, 1)
    if OURS in names:
        rows[OURS] = tune(Runs(folder / "rows", evidence[True]), ours, 1)
    prices = {name: TokenPrice(float(m + 1), float(m + 1)) for m, name in enumerate(data.models)}
    return Context(data, q, TEXT_DIM, rows, ours, folder / "rows", prices, families)


def _encoder_queue(q: Table, of_ours: bool) -> NDArray[np.float32]:
    return q if of_ours else np.ascontiguousarray(q[:, :TEXT_DIM])
