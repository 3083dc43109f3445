"""Commands that predict, and that measure predictions: predict, evaluate."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.commands.options import DATA, JSON, checkpoint_options, readable_errors
from router.commands.sources import load_models
from router.commands.terminal import progress_bar, show, table_of
from router.extras import require

if TYPE_CHECKING:
    from router.train.evaluate import Row


@click.command()
@DATA
@checkpoint_options
@click.option("--space", type=click.Path(path_type=Path), required=True, help="Model space made by `locus embed`.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Parquet file: query_id, model, p, standard_error."
)
@readable_errors
def predict(data: tuple[Path, ...], checkpoint: Path | None, trust: bool, space: Path, split: str, out: Path) -> None:
    """Predict P(correct) for every query of a split and every model of a space."""
    require("pyarrow", extra="train")
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from router.data.dataset import load_all_queries
    from router.errors import DataError

    router = load_models(checkpoint, trust, space, None).router
    queries = load_all_queries(data)
    asked = np.flatnonzero(queries.splits == split)
    if not len(asked):
        raise DataError(f"{', '.join(map(str, data))}: no query in split {split}")
    scorer = router.scorer(router.space.models)
    parts = []
    block = 1024
    with progress_bar("predicting", len(asked)) as advance:
        for start in range(0, len(asked), block):
            rows = asked[start : start + block]
            parts.append(scorer.predict(router.encoder.encode([queries.prompts[i] for i in rows]), graded=True))
            advance(min(start + block, len(asked)), "")
    models = router.space.models
    table = pa.table(
        {
            "query_id": np.repeat(queries.query_ids[asked], len(models)),
            "model": pa.DictionaryArray.from_arrays(
                pa.array(np.tile(np.arange(len(models), dtype=np.int32), len(asked))), pa.array(list(models))
            ),
            "p": np.concatenate([part.p_correct for part in parts]).reshape(-1),
            "standard_error": np.concatenate([part.standard_error for part in parts]).reshape(-1),
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out)
    click.echo(f"{out}: {len(asked)} queries x {len(models)} models")


@click.command()
@DATA
@checkpoint_options
@JSON
@readable_errors
def evaluate(data: tuple[Path, ...], checkpoint: Path | None, trust: bool, as_json: bool) -> None:
    """Measure routing and correctness prediction on `test`, against best single and kNN."""
    require("joblib", "pyarrow", extra="train")
    import json
    from dataclasses import asdict

    from router.data.dataset import load_datasets
    from router.model.checkpoint import load_checkpoint
    from router.model.locus import Locus
    from router.train.evaluate import embed_all, predict_all
    from router.train.evaluate import evaluate as measure

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_datasets(data)
    encoder = loaded.encoder()
    q = encoder.encode(dataset.prompts)
    locus = Locus.restore(loaded.weights, loaded.card["config"])
    space = embed_all(locus, dataset, q, "train", per_model=None, seed=0, checkpoint=loaded.id)
    rows = measure(dataset, q[:, : encoder.text_dim], predict_all(locus, dataset, q, space, "test"), "test")
    if as_json:
        click.echo(
            json.dumps({"checkpoint": loaded.id, "data": dataset.hash, "rows": [asdict(r) for r in rows]}, indent=2)
        )
    else:
        _print_rows(rows)


def _print_rows(rows: "Sequence[Row]") -> None:
    from router.train.evaluate import MACRO

    routing, prediction = list(rows[0].routing), list(rows[0].prediction)
    columns = ["pool / benchmark", "queries", *routing, *prediction]
    title = "test split: routing accuracy, then correctness-prediction accuracy, %"
    table = table_of(columns, text=(0,), title=title)
    last = max((i for i, row in enumerate(rows) if row.name.startswith(MACRO)), default=-1)
    for i, row in enumerate(rows):
        cells = [f"{100 * row.routing[method]:.1f}" for method in routing]
        cells += [f"{100 * row.prediction[method]:.1f}" for method in prediction]
        table.add_row(row.name, str(row.queries), *cells, end_section=i == last)
    show(table)
