"""Copies evaluations with more models marked `onboarding`, so that a checkpoint trained on the copy has never seen them.

python -m research.hold_out_models DATA OUT --model NAME [--model NAME ...]
"""

import argparse
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from router.data.dataset import FILES


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--model", action="append", default=[], help="name of a model; those that the folder lacks are ignored"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(arguments.data / name, arguments.out / name)
    models = pq.read_table(arguments.data / "models.parquet")
    names, marked = models["model"].to_pylist(), models["onboarding"].to_pylist()
    held = [bool(mark) or name in arguments.model for name, mark in zip(names, marked, strict=True)]
    column = models.column_names.index("onboarding")
    pq.write_table(models.set_column(column, "onboarding", pa.array(held)), arguments.out / "models.parquet")


if __name__ == "__main__":
    main()
