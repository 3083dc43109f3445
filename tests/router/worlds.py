"""A small world of twelve models, and a checkpoint trained on it that carries anchors, for tests of the space's tools."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner

from gateway.commands.main import main
from router.model.anchors import CARD_KEY
from router.model.checkpoint import load_checkpoint, save_checkpoint
from router.model.space import ModelSpace
from tests.router.datasets import tables

# model -> chance of a right answer on (sums, places)
SKILLS = {
    "lab/adder": (0.95, 0.1),
    "lab/traveller": (0.1, 0.95),
    **{f"{lab}/m{i}": (0.1 + 0.08 * i, 0.42 - 0.08 * ((3 * i) % 5)) for lab in ("north", "south") for i in range(5)},
}


def write_world(folder: Path, count: int = 400) -> Path:
    """Data in the layout of `router.data.dataset`: the queries of `tests.router.datasets`, twelve models."""
    rng = np.random.default_rng(7)
    queries = tables(count)["queries"]
    scores = [
        {"model": model, "query_id": query, "score": float(rng.random() < skill[benchmark == "places"])}
        for query, benchmark in zip(queries["query_id"].to_pylist(), queries["benchmark"].to_pylist(), strict=True)
        for model, skill in SKILLS.items()
    ]
    models = [{"model": model, "onboarding": False} for model in SKILLS]
    folder.mkdir(parents=True, exist_ok=True)
    written = {"queries": queries, "models": pa.Table.from_pylist(models), "evaluations": pa.Table.from_pylist(scores)}
    for name, table in written.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def train_world(folder: Path) -> Path:
    """A checkpoint and its space, trained on `write_world`.

    `folder` then holds data/, checkpoint/, and in bare/ the same checkpoint with a card that counts no anchors.
    """
    data, bare, out = write_world(folder / "data"), folder / "bare", folder / "checkpoint"
    result = CliRunner().invoke(main, ["train", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    loaded = load_checkpoint(out)
    card = {key: value for key, value in loaded.card.items() if key not in ("format", "checkpoint", CARD_KEY)}
    ModelSpace.load(out / "space.safetensors").with_checkpoint(save_checkpoint(bare, loaded.weights, card)).save(
        bare / "space.safetensors"
    )
    return out
