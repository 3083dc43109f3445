"""Commands over evaluation data: train, embed, predict, evaluate, neighbors. torch loads inside them, not here."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from router.commands.groups import console
from router.errors import RouterError

DATA = click.argument("data", type=click.Path(path_type=Path))
_CHECKPOINT = click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Folder made by `locus train`; default: the shipped one."
)
_TRUST = click.option(
    "--trust", is_flag=True, help="Load the encoder that the checkpoint names, even if its files may run code."
)


def checkpoint_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options `--checkpoint` and `--trust`."""
    return _CHECKPOINT(_TRUST(command))


def readable_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of the router become one line on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except RouterError as exc:
            raise click.ClickException(str(exc)) from exc

    return run


@click.command()
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same weights.")
@click.option("--exclude-benchmark", "excluded", multiple=True, metavar="B", help="Leave a benchmark out; repeatable.")
@click.option(
    "--encoder", default="static", show_default=True, help="static, minilm, or a sentence-transformers model."
)
@readable_errors
def train(data: Path, out: Path, seed: int, excluded: tuple[str, ...], encoder: str) -> None:
    """Train on split `train` of DATA, select on `val`; a run that was stopped goes on where it was."""
    from router.data.dataset import load_dataset
    from router.encode.encoder import load_encoder
    from router.model.checkpoint import save_checkpoint
    from router.model.evidence import evidence_file
    from router.train.evidence_builder import gather
    from router.train.model_card import EVIDENCE_KEY, describe, describe_evidence
    from router.train.train import STATE, STEPS
    from router.train.train import train as run_training

    dataset = load_dataset(data).without(excluded)
    loaded = load_encoder(encoder)
    click.echo(f"{len(dataset.models)} models, {len(dataset.prompts)} queries; encoding", err=True)
    q = loaded.encode(dataset.prompts)
    with _progress("training", STEPS) as advance:
        trained = run_training(dataset, q, loaded.text_dim, seed, out, advance)
    evaluations = gather(dataset, q[:, : loaded.text_dim], loaded.hash)
    card = describe(dataset, q, loaded, seed, trained, excluded) | {EVIDENCE_KEY: describe_evidence(evaluations)}
    checkpoint = save_checkpoint(out, trained.locus.weights(), card)
    trained.space.of(checkpoint).save(out / "space.safetensors")
    evaluations.save(evidence_file(out / "space.safetensors"))
    (out / STATE).unlink(missing_ok=True)
    kept = [verdict.benchmark for verdict in trained.verdicts if verdict.guarded]
    click.echo(
        f"{out}: checkpoint {checkpoint[:12]}, {len(trained.space.models)} embeddings; best single model kept in "
        f"{len(kept)} of {len(trained.verdicts)} benchmarks" + (f": {', '.join(kept)}" if kept else "")
    )


@click.command()
@DATA
@checkpoint_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the model space.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="train", show_default=True)
@click.option("--per-model", type=click.IntRange(1), metavar="N", help="At most N evaluations of each model.")
@click.option("--seed", default=0, show_default=True, help="Which N are drawn.")
@click.option("--exclude-benchmark", "excluded", multiple=True, metavar="B", help="Leave a benchmark out; repeatable.")
@readable_errors
def embed(
    data: Path,
    checkpoint: Path | None,
    trust: bool,
    out: Path,
    split: str,
    per_model: int | None,
    seed: int,
    excluded: tuple[str, ...],
) -> None:
    """Embed every model of DATA, known or not, by one forward pass over its evaluations.

    Beside the model space goes the evidence that the gateway shows for a choice: ids and scores of queries of the split that
    some model passed and some other failed.
    """
    from router.data.dataset import load_dataset
    from router.model.checkpoint import load_checkpoint
    from router.model.evidence import evidence_file
    from router.model.locus import Locus
    from router.train.evaluate import embed_all
    from router.train.evidence_builder import gather

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_dataset(data).without(excluded)
    encoder = loaded.encoder()
    q = encoder.encode(dataset.prompts)
    with _progress("embedding", len(dataset.models)) as advance:
        done = iter(range(1, len(dataset.models) + 1))
        space = embed_all(
            Locus.restore(loaded.weights, loaded.card["config"]),
            dataset,
            q,
            split,
            per_model=per_model,
            seed=seed,
            checkpoint=loaded.id,
            progress=lambda: advance(next(done), ""),
        )
    space.save(out)
    gather(dataset, q[:, : encoder.text_dim], encoder.hash, split).save(evidence_file(out))
    click.echo(f"{out}: {len(space.models)} embeddings from {sum(space.evaluations)} evaluations")


@click.command()
@DATA
@checkpoint_options
@click.option("--exclude-benchmark", "excluded", multiple=True, metavar="B", help="Leave a benchmark out; repeatable.")
@readable_errors
def evidence(data: Path, checkpoint: Path | None, trust: bool, excluded: tuple[str, ...]) -> None:
    """Write the evidence of a checkpoint anew, which `locus train` writes of all its benchmarks.

    DATA must be what the checkpoint was trained on. Its weights and its model space stay as they are. Evidence names single
    scores: benchmarks whose scores may not be handed on are to be excluded before a checkpoint is.
    """
    from router.data.dataset import load_dataset
    from router.errors import DataError
    from router.model.checkpoint import amend_card, load_checkpoint
    from router.model.evidence import evidence_file
    from router.train.evidence_builder import gather
    from router.train.model_card import EVIDENCE_KEY, describe_evidence

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_dataset(data)
    about = loaded.card.get("data", {})
    if about.get("hash") != dataset.hash:
        raise DataError(f"{data}: not the data that the checkpoint in {loaded.folder} was trained on")
    dataset = dataset.without({*about.get("excluded_benchmarks", ()), *excluded})
    encoder = loaded.encoder()
    evaluations = gather(dataset, encoder.encode(dataset.prompts)[:, : encoder.text_dim], encoder.hash)
    file = evidence_file(loaded.folder / "space.safetensors")
    size = len(evaluations.save(file))
    amend_card(loaded, {EVIDENCE_KEY: describe_evidence(evaluations)})
    click.echo(
        f"{file}: {len(evaluations.query_ids)} queries, {evaluations.evaluation_count} evaluations of "
        f"{len(evaluations.models)} models, {size / 1e6:.1f} MB"
    )


@click.command()
@DATA
@checkpoint_options
@click.option("--space", type=click.Path(path_type=Path), required=True, help="Model space made by `locus embed`.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Parquet file: query_id, model, p, standard_error."
)
@readable_errors
def predict(data: Path, checkpoint: Path | None, trust: bool, space: Path, split: str, out: Path) -> None:
    """Predict P(correct) for every query of a split and every model of a space."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from router.data.dataset import load_queries
    from router.errors import DataError
    from router.model.checkpoint import load_checkpoint
    from router.model.serving import Router

    loaded = load_checkpoint(checkpoint, trust=trust)
    router = Router.of(loaded, [space])
    queries = load_queries(data)
    asked = np.flatnonzero(queries.splits == split)
    if not len(asked):
        raise DataError(f"{data}: no query in split {split}")
    scorer = router.scorer(router.space.models)
    parts = []
    block = 1024
    with _progress("predicting", len(asked)) as advance:
        for start in range(0, len(asked), block):
            rows = asked[start : start + block]
            parts.append(scorer.predict(router.encoder.encode([queries.prompts[i] for i in rows])))
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
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@readable_errors
def evaluate(data: Path, checkpoint: Path | None, trust: bool, as_json: bool) -> None:
    """Measure routing and correctness prediction on `test`, against best single and kNN."""
    import json
    from dataclasses import asdict

    from router.data.dataset import load_dataset
    from router.model.checkpoint import load_checkpoint
    from router.model.locus import Locus
    from router.train.evaluate import embed_all, predict_all
    from router.train.evaluate import evaluate as measure

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_dataset(data)
    encoder = loaded.encoder()
    q = encoder.encode(dataset.prompts)
    locus = Locus.restore(loaded.weights, loaded.card["config"])
    space = embed_all(locus, dataset, q, "train", per_model=None, seed=0, checkpoint=loaded.id)
    rows = measure(dataset, q[:, : encoder.text_dim], predict_all(locus, dataset, q, space, "test"))
    if as_json:
        click.echo(
            json.dumps({"checkpoint": loaded.id, "data": dataset.hash, "rows": [asdict(r) for r in rows]}, indent=2)
        )
    else:
        _print_rows(rows)


@click.command()
@click.argument("model")
@click.option("--space", type=click.Path(path_type=Path), help="Model space; default: the shipped one.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many.")
@readable_errors
def neighbors(model: str, space: Path | None, k: int) -> None:
    """Show the models nearest to MODEL in the embedding space."""
    from rich.table import Table

    from router.model.serving import SPACE
    from router.model.space import ModelSpace

    nearest = ModelSpace.load(space or SPACE).neighbors(model, k)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    table.add_column("distance", justify="right")
    for neighbor in nearest:
        table.add_row(neighbor.model, f"{neighbor.distance:.3f}")
    console().print(table)


def _print_rows(rows: list[Any]) -> None:
    from rich.table import Table

    methods = list(rows[0].routing)
    predicted = list(rows[0].prediction)
    table = Table(
        title="test split: routing accuracy, then correctness-prediction accuracy, %", box=None, pad_edge=False
    )
    table.add_column("pool / benchmark", no_wrap=True)
    table.add_column("queries", justify="right")
    for method in methods + predicted:
        table.add_column(method, justify="right")
    for row in rows:
        routing = [f"{100 * row.routing[m]:.1f}" for m in methods]
        prediction = [f"{100 * row.prediction[m]:.1f}" for m in predicted]
        table.add_row(row.name, str(row.queries), *routing, *prediction, end_section=row.name == "macro average")
    console().print(table)


class _progress:
    """A rich progress bar on stderr: `with _progress("training", 100) as advance: advance(1, "loss 0.6")`."""

    def __init__(self, title: str, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console(stderr=True),
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Callable[[int, str], None]:
        self._progress.start()
        return lambda done, note: self._progress.update(self._task, completed=done, description=note)

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()
