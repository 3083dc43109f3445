"""Commands that make artefacts from evaluation data: train, embed, evidence. torch loads inside them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.commands.options import DATA, ENGINE, EXCLUDE, checkpoint_options, readable_errors
from router.commands.terminal import progress_bar, show, table_of
from router.extras import require

if TYPE_CHECKING:
    from router.model.space import ModelSpace

NEAREST = 5  # models that are printed beside an embedded one


@click.command()
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same weights.")
@EXCLUDE
@click.option(
    "--encoder", default="static", show_default=True, help="static, minilm, or a sentence-transformers model."
)
@readable_errors
def train(data: tuple[Path, ...], out: Path, seed: int, excluded: tuple[str, ...], encoder: str) -> None:
    """Train on split `train` of DATA, select on `val`; a run that was stopped continues from its last state.

    DATA may be several folders, whose evaluations are joined: models of one name are one model. The evidence file, which holds
    single scores, leaves out the public benchmarks whose licence does not allow to hand them on.
    """
    require("torch", "joblib", "pyarrow", "threadpoolctl", extra="train")
    from router.data.benchmarks import unpublishable
    from router.data.dataset import load_datasets
    from router.encode.load import load_encoder
    from router.model.checkpoint import SPACE_FILE, save_checkpoint
    from router.model.evidence import evidence_file
    from router.train.evidence_builder import build_evidence
    from router.train.feature_map import STATE
    from router.train.model_card import EVIDENCE_KEY, describe, describe_evidence
    from router.train.requests import Judged, judged_requests
    from router.train.train import STEPS
    from router.train.train import train as run_training

    dataset = load_datasets(data).without(excluded)
    loaded = load_encoder(encoder)
    click.echo(f"{len(dataset.models)} models, {len(dataset.prompts)} queries; encoding", err=True)
    q = loaded.encode(dataset.prompts)
    judged = Judged.encoded(judged_requests(), loaded)
    with progress_bar("training", STEPS) as advance:
        trained = run_training(dataset, q, loaded.text_dim, judged, seed, out, advance)
    withheld = unpublishable(dataset.benchmarks.tolist())
    evaluations = build_evidence(dataset, q[:, : loaded.text_dim], loaded.hash, excluded=withheld)
    card = describe(dataset, q, loaded, seed, trained, excluded) | {EVIDENCE_KEY: describe_evidence(evaluations)}
    checkpoint = save_checkpoint(out, trained.locus.weights(), card)
    trained.space.with_checkpoint(checkpoint).save(out / SPACE_FILE)
    evaluations.save(evidence_file(out / SPACE_FILE))
    (out / STATE).unlink(missing_ok=True)
    click.echo(
        f"{out}: checkpoint {checkpoint[:12]}, {len(trained.space.models)} embeddings; share of the plain read-out "
        f"{trained.locus.readout_share:g}"
    )


@click.command()
@DATA
@checkpoint_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the model space.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="train", show_default=True)
@click.option("--per-model", type=click.IntRange(1), metavar="N", help="At most N evaluations of each model.")
@click.option("--seed", default=0, show_default=True, help="Another seed chooses other N.")
@EXCLUDE
@ENGINE
@readable_errors
def embed(
    data: tuple[Path, ...],
    checkpoint: Path | None,
    trust: bool,
    out: Path,
    split: str,
    per_model: int | None,
    seed: int,
    excluded: tuple[str, ...],
    engine: str,
) -> None:
    """Embed every model of DATA, known or not, by one forward pass over its evaluations.

    It prints the five models that are nearest to each one, among them and those of the checkpoint's own space; models with few
    evaluations are marked, since their places are uncertain. It also writes the evidence file beside the model space: ids and
    scores of the queries of the split that one model passed and another failed. The gateway shows them as evidence for a choice.
    """
    require("joblib", "pyarrow", "threadpoolctl", extra="train")
    from router.data.dataset import load_datasets
    from router.model.checkpoint import SPACE_FILE, load_checkpoint
    from router.model.evidence import evidence_file
    from router.model.locus import Locus
    from router.train.evaluate import embed_all
    from router.train.evidence_builder import build_evidence

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_datasets(data).without(excluded)
    encoder = loaded.encoder()
    q = encoder.encode(dataset.prompts)
    with progress_bar("embedding", len(dataset.models)) as advance:
        space = embed_all(
            Locus.restore(loaded.weights, loaded.card["config"]),
            dataset,
            q,
            split,
            per_model=per_model,
            seed=seed,
            checkpoint=loaded.id,
            engine=engine,
            progress=lambda done: advance(done, ""),
        )
    space.save(out)
    build_evidence(dataset, q[:, : encoder.text_dim], encoder.hash, split).save(evidence_file(out))
    click.echo(f"{out}: {len(space.models)} embeddings from {sum(space.evaluations)} evaluations")
    _print_nearest(space, loaded.folder / SPACE_FILE)


@click.command()
@DATA
@checkpoint_options
@click.option("--private", is_flag=True, help="Keep all benchmarks: the file is then not for publication.")
@EXCLUDE
@readable_errors
def evidence(
    data: tuple[Path, ...], checkpoint: Path | None, trust: bool, private: bool, excluded: tuple[str, ...]
) -> None:
    """Write the evidence of a checkpoint again, for example without some benchmarks.

    DATA must be the data that the checkpoint was trained on. Its weights and its model space stay as they are. An evidence file
    contains single scores. Public benchmarks whose licence does not allow to hand them on are left out, unless --private is given.
    Exclude your own benchmarks that are not for publication.
    """
    require("pyarrow", "threadpoolctl", extra="train")
    from router.data.benchmarks import unpublishable
    from router.data.dataset import load_datasets
    from router.errors import DataError
    from router.model.checkpoint import SPACE_FILE, amend_card, load_checkpoint
    from router.model.evidence import evidence_file
    from router.train.evidence_builder import build_evidence
    from router.train.model_card import EVIDENCE_KEY, describe_evidence

    loaded = load_checkpoint(checkpoint, trust=trust)
    dataset = load_datasets(data)
    about = loaded.card.get("data", {})
    if about.get("hash") != dataset.hash:
        raise DataError(
            f"{', '.join(map(str, data))}: not the data that the checkpoint in {loaded.folder} was trained on"
        )
    dataset = dataset.without({*about.get("excluded_benchmarks", ()), *excluded})
    encoder = loaded.encoder()
    withheld = set() if private else unpublishable(dataset.benchmarks.tolist())
    text = encoder.encode(dataset.prompts)[:, : encoder.text_dim]
    evaluations = build_evidence(dataset, text, encoder.hash, excluded=withheld)
    file = evidence_file(loaded.folder / SPACE_FILE)
    size = len(evaluations.save(file))
    amend_card(loaded, {EVIDENCE_KEY: describe_evidence(evaluations)})
    click.echo(
        f"{file}: {len(evaluations.query_ids)} queries, {evaluations.evaluation_count} evaluations of "
        f"{len(evaluations.models)} models, {size / 1e6:.1f} MB"
    )


def _print_nearest(space: "ModelSpace", others: Path) -> None:
    """Prints each model of a space with its evaluations and the nearest five, also among those of another space if that exists."""
    from router.explore.overview import FEW
    from router.model.space import ModelSpace

    together = ModelSpace.load(others).merged(space) if others.exists() else space
    table = table_of(["model", "evaluations", "nearest, with their distances"], text=(0, 2))
    for column in (table.columns[0], table.columns[2]):
        column.no_wrap = False
    for name, evaluations in zip(space.models, space.evaluations, strict=True):
        near = [f"{one.model} {one.distance:.3f}" for one in together.neighbors(name, NEAREST)]
        table.add_row(name, f"{evaluations}{' few' if evaluations < FEW else ''}", "\n".join(near))
    show(table)
