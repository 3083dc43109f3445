"""Small evaluation data in the layout that `router.data.dataset` reads, for tests."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# model -> chance of a right answer on (sums, places)
SKILLS = {"lab/adder": (0.95, 0.2), "lab/traveller": (0.2, 0.95), "lab/weak": (0.3, 0.3), "lab/newcomer": (0.9, 0.3)}
BENCHMARKS = ("sums", "places")
CITIES = ("Paris", "Rome", "Cairo", "Lima", "Oslo")
FILES = ("queries", "models", "evaluations")


def tables(count: int = 200, seed: int = 0) -> dict[str, pa.Table]:
    """The three tables by file name: sums and places by turns, 60 % train, 20 % val, 20 % test; ids start at 1000."""
    rng = np.random.default_rng(seed)
    asked, scores = [], []
    for i in range(count):
        kind = i % 2
        a, b = rng.integers(10, 99, 2)
        prompts = (f"Compute {a} plus {b} ({i}).", f"In which country lies {CITIES[a % 5]}, page {i} of the atlas?")
        split = ("train", "train", "train", "val", "test")[i // 2 % 5]
        asked.append({"query_id": 1000 + i, "benchmark": BENCHMARKS[kind], "prompt": prompts[kind], "split": split})
        scores += [
            {"model": model, "query_id": 1000 + i, "score": float(rng.random() < skill[kind])}
            for model, skill in SKILLS.items()
        ]
    models = [{"model": model, "onboarding": model == "lab/newcomer"} for model in SKILLS]
    return {
        "queries": pa.Table.from_pylist(asked),
        "models": pa.Table.from_pylist(models),
        "evaluations": pa.Table.from_pylist(scores),
    }


def write_dataset(folder: Path, count: int = 200, seed: int = 0, **replaced: pa.Table) -> Path:
    """Writes `tables(count, seed)`, some of them replaced; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (tables(count, seed) | replaced).items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def with_column(table: pa.Table, name: str, values: pa.Array | list[object]) -> pa.Table:
    """The table with one column's values replaced, whatever their type."""
    return table.set_column(
        table.column_names.index(name), name, pa.array(values) if isinstance(values, list) else values
    )


def with_value(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    """The table with one value replaced."""
    values = table[name].to_pylist()
    values[row] = value
    return with_column(table, name, pa.array(values, table[name].type))
