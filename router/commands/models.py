"""`locus models`: the models of the space with their evaluations and predicted accuracies."""

import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.commands.options import JSON, checkpoint_options, readable_errors, space_options
from router.commands.sources import Models, load_models
from router.commands.terminal import console, show, table_of
from router.errors import DataError

if TYPE_CHECKING:
    from router.explore.overview import Accuracy, Overview

IN_DETAIL = 3  # so many models are shown with their benchmarks


@click.command()
@click.argument("pattern", required=False)
@checkpoint_options
@space_options
@JSON
@readable_errors
def models(
    pattern: str | None, checkpoint: Path | None, trust: bool, space: Path | None, config: Path | None, as_json: bool
) -> None:
    """List the models of the space: evaluations, predicted accuracy and its standard error.

    PATTERN is a part of the name, or a name with * and ?. Three models or fewer are shown with each benchmark: measured, if the
    model was evaluated on this kind of question, or guessed (≈) from other kinds and from its name.
    """
    from router.explore.overview import FEW, overviews
    from router.model.anchors import load_anchors
    from router.model.embedding import Embeddings

    found = load_models(checkpoint, trust, space, config)
    rows = [(name, None) for name in found.router.space.models if _matches(name, pattern)]
    lent = [one for one in found.lent if _matches(one.model, pattern) or _matches(one.relative, pattern)]
    if not rows and not lent:
        raise DataError(_none_found(found, pattern))
    space_rows = found.router.space.rows([name for name, _ in rows])
    embeddings = found.router.space.embeddings.take(space_rows)
    if lent:
        embeddings = embeddings.followed_by(Embeddings.of([one.embedding for one in lent]))
    names = [name for name, _ in rows] + [one.model for one in lent]
    relatives = [None for _ in rows] + [one.relative for one in lent]
    listed = overviews(found.router.locus, load_anchors(found.checkpoint), names, embeddings, relatives)
    if as_json:
        click.echo(json.dumps([_fields(one) for one in listed], indent=2, ensure_ascii=False))
    elif len(listed) <= IN_DETAIL:
        _print_in_detail(listed)
    else:
        _print_list(listed)
    few = sum(one.few for one in listed)
    if few and not as_json:
        subject = "1 model has" if few == 1 else f"{few} models have"
        click.secho(
            f"warning: {subject} fewer than {FEW} evaluations: their accuracies are mostly guesses",
            fg="yellow",
            err=True,
        )


def _matches(name: str, pattern: str | None) -> bool:
    """A pattern without * and ? is a part of the name; with them it is the name, with or without the provider."""
    if pattern is None:
        return True
    name, wanted = name.lower(), pattern.lower()
    if not set(wanted) & set("*?"):
        return wanted in name
    return fnmatch(name, wanted) or fnmatch(name.rpartition("/")[2], wanted)


def _none_found(found: Models, pattern: str | None) -> str:
    close = found.router.space.families.similar(pattern or "")
    return f"no model of the space matches {pattern!r}" + (f"; close to it: {', '.join(close)}" if close else "")


def _fields(one: "Overview") -> dict[str, object]:
    return {
        "model": one.model,
        "evaluations": one.evaluations,
        "few_evaluations": one.few,
        "borrowed_from": one.relative,
        "accuracy": one.accuracy.mean,
        "standard_error": one.accuracy.standard_error,
        "benchmarks": {
            name: {"accuracy": each.mean, "standard_error": each.standard_error, "measured": each.measured}
            for name, each in one.benchmarks.items()
        },
    }


def _print_list(listed: "Sequence[Overview]") -> None:
    table = table_of(["model", "evaluations", "accuracy", "measured"], text=(0,))
    table.columns[0].no_wrap = False
    table.columns[0].overflow = "fold"
    for one in sorted(listed, key=lambda each: (-each.accuracy.mean, each.model)):
        measured = sum(each.measured for each in one.benchmarks.values())
        evaluations = "–" if one.relative is not None else f"{one.evaluations}{' few' if one.few else ''}"
        name = one.model if one.relative is None else f"{one.model} ≈{one.relative}"
        table.add_row(name, evaluations, _percent(one.accuracy), f"{measured} of {len(one.benchmarks)}")
    show(table)
    click.echo(
        "\nAccuracy: predicted mean over all benchmarks. Measured: benchmarks with evaluations of their kind of question."
    )


def _print_in_detail(listed: "Sequence[Overview]") -> None:
    from rich.markup import escape

    for number, one in enumerate(listed):
        made = f"{one.evaluations} evaluations" if one.relative is None else f"borrows from ≈{one.relative}"
        screen = console()
        if number:
            click.echo()
        screen.print(f"[bold]{escape(one.model)}[/]")
        screen.print(f"{escape(made)}; accuracy {_percent(one.accuracy)}")
        table = table_of(["benchmark", "accuracy", ""], text=(0, 2))
        for name, each in sorted(one.benchmarks.items(), key=lambda pair: (not pair[1].measured, pair[0])):
            table.add_row(name, _percent(each), "measured" if each.measured else "≈ guessed")
        show(table)


def _percent(accuracy: "Accuracy") -> str:
    return f"{100 * accuracy.mean:.1f}% ± {100 * accuracy.standard_error:.1f}"
