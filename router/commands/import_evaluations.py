"""`locus import FORMAT PATH... --out DATA` converts evaluations of other projects to a folder that `locus train` reads."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router.commands.groups import CommandGroup
from router.commands.options import readable_errors
from router.commands.terminal import console, show, table_of
from router.extras import require

if TYPE_CHECKING:
    from router.data.dataset import Dataset
    from router.data.importing.evaluation import Evaluation, Skipped
    from router.data.importing.folder import Saved

Read = Callable[..., "Iterable[Evaluation | Skipped]"]

PATHS = click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH..."
)
MODEL = click.option("--model", metavar="NAME", help="The model that answered; default: the one that the log names.")


@click.group("import", cls=CommandGroup, subcommand_metavar="FORMAT PATH... --out DATA")
def import_() -> None:
    """Convert evaluations of other projects to a folder for `locus train`; each FORMAT has its own --help."""


def _format(name: str) -> Callable[[Read], click.Command]:
    """Decorates a function from paths and the format's own options to evaluations: makes it the command `locus import NAME`."""

    def decorate(read: Read) -> click.Command:
        command: Any = _run(read)
        for option in reversed(_COMMON):
            command = option(command)
        return import_.command(name, help=read.__doc__)(command)

    return decorate


_COMMON = (
    PATHS,
    click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DATA", help="Folder for the data."),
    click.option("--append", is_flag=True, help="Add to the data in DATA; its query ids and splits stay."),
    click.option(
        "--conflicts",
        type=click.Choice(["refuse", "keep", "replace"]),
        default="refuse",
        show_default=True,
        help="With --append, for a score that differs from the one in DATA: fail, keep the old one, or replace it.",
    ),
    click.option("--benchmark", metavar="NAME", help="Replaces the source's benchmark, which becomes the category."),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        help="Another seed divides the questions into train, val and test differently.",
    ),
    click.option("--onboarding", multiple=True, metavar="MODEL", help="Hold this model out of training; repeatable."),
    click.option("--rename", multiple=True, metavar="OLD=NEW", help="Call a model by another name; repeatable."),
)


def _run(read: Read) -> Callable[..., None]:
    @readable_errors
    @functools.wraps(read)  # copies the format's own options, which click stores on `read`
    def run(
        paths: tuple[Path, ...],
        out: Path,
        append: bool,
        conflicts: str,
        benchmark: str | None,
        seed: int,
        onboarding: tuple[str, ...],
        rename: tuple[str, ...],
        **options: Any,
    ) -> None:
        require("pyarrow", extra="import")
        from router.data.importing.collect import Naming, collect
        from router.data.importing.existing import Target
        from router.data.importing.folder import save

        naming = Naming(benchmark, _renames(rename))
        with console(stderr=True).status("reading") as status:
            collected = collect(read(paths, **options), naming, lambda n: status.update(f"{n:,} evaluations read"))
            status.update("writing")
            saved = save(collected, Target(out, append, conflicts, seed, onboarding))
        _print(out, saved)

    return run


def _renames(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in given]
    for entry, (old, _, new) in zip(given, pairs, strict=True):
        if not old.strip() or not new.strip():
            raise click.BadParameter(f"{entry!r}: expected OLD=NEW", param_hint="--rename")
    return {old.strip(): new.strip() for old, _, new in pairs}


@_format("embedllm")
def embedllm(paths: tuple[Path, ...]) -> "Iterable[Evaluation | Skipped]":
    """EmbedLLM: train.csv, val.csv and test.csv, or their folder."""
    from router.data.importing.embedllm import read

    return read(paths)


@_format("routerbench")
@click.option(
    "--parts",
    type=click.Choice(["all", "last"]),
    default="all",
    show_default=True,
    help="Of a prompt in several parts: all, or the last (the question after few-shot examples).",
)
def routerbench(paths: tuple[Path, ...], parts: str) -> "Iterable[Evaluation | Skipped]":
    """RouterBench: its tables, converted from pickle to parquet (see docs/importing.md)."""
    from router.data.importing.routerbench import read

    return read(paths, last_part=parts == "last")


@_format("lm-eval")
@click.option("--metric", metavar="NAME", help="Default: exact_match, acc or the like, else the only one.")
@click.option("--filter", metavar="NAME", help="Needed where answers were scored under several.")
@click.option(
    "--prompt-field", metavar="NAME", help="Field of a document that is the question; default: question and the like."
)
@MODEL
def lm_eval(paths: tuple[Path, ...], **choice: str | None) -> "Iterable[Evaluation | Skipped]":
    """lm-evaluation-harness: samples_*.jsonl, or a folder."""
    from router.data.importing.lm_eval import Choice, read

    return read(paths, Choice(**choice))


@_format("inspect")
@click.option(
    "--metric", metavar="SCORER", help="Needed where samples have several scores; SCORER/KEY for one of several values."
)
@MODEL
def inspect(paths: tuple[Path, ...], metric: str | None, model: str | None) -> "Iterable[Evaluation | Skipped]":
    """Inspect: .eval or .json logs, or a folder."""
    from router.data.importing.inspect_log import read

    return read(paths, metric, model)


@_format("table")
def table(paths: tuple[Path, ...]) -> "Iterable[Evaluation | Skipped]":
    """CSV or JSON lines of model, prompt, score.

    Optional columns: benchmark, category, split, query_id.
    """
    from router.data.importing.table import read

    return read(paths)


def _print(out: Path, saved: "Saved") -> None:
    for note in saved.notes:
        click.echo(note, err=True)
    table = table_of(["benchmark", "models", "queries", "evaluations", "density", "mean score"], text=(0,))
    for row in _summary(saved.dataset):
        table.add_row(*row)
    show(table)
    click.echo(
        f"{out}: {saved.new_queries} queries, {saved.new_models} models and {saved.new_evaluations} evaluations added"
    )


def _summary(dataset: "Dataset") -> list[tuple[str, ...]]:
    """One row for each benchmark, and one for all of them together."""
    import numpy as np

    rows: list[tuple[str, ...]] = []
    for name in [*np.unique(dataset.benchmarks).tolist(), None]:
        scores = dataset.scores if name is None else dataset.scores[:, dataset.benchmarks == name]
        seen = ~np.isnan(scores)
        models, queries, count = int(seen.any(1).sum()), scores.shape[1], int(seen.sum())
        density = count / (models * queries) if count else 0.0
        mean = f"{np.nanmean(scores, dtype=np.float64):.3f}" if count else "-"
        rows.append(("all" if name is None else name, str(models), str(queries), str(count), f"{density:.2f}", mean))
    return rows
