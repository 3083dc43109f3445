"""`locus savings`: what choosing by request has saved or gained, and what the cache has saved."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.commands.replay_inputs import inputs, log_of
from gateway.commands.since import Since
from gateway.core.printable import printable
from router.commands.options import readable_errors
from router.commands.terminal import console

if TYPE_CHECKING:
    from gateway.replay.savings import Beside, Savings
    from router.replay.estimate import Estimate


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio in force.  [default: as `locus serve`]")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("--parquet", type=click.Path(path_type=Path, exists=True), help="Read requests from this file or folder.")
@click.option("--since", type=Since(), default="30d", show_default=True, help="A duration, or a date.")
@click.option("--demo", is_flag=True, help="Of the simulated models of `locus serve --demo`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@readable_errors
def savings(
    config: Path | None, db: Path | None, parquet: Path | None, since: float, demo: bool, as_json: bool
) -> None:
    """Show what `auto` saved or gained beside one model for all requests.

    It is compared with the model that is best for all of them together, and with the dearest. Costs at other models are
    estimates from the logged tokens; accuracy is predicted; intervals are of 90%.
    """
    from gateway.replay.savings import savings as look

    known = inputs(config, db, demo=demo)
    with log_of(known.location, parquet, since, None) as log:
        found = look(log, known.placed, known.file_router.checkpoint, since, None)
    if as_json:
        click.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found)


def _show(found: "Savings") -> None:
    screen = console()
    if not found.beside:
        screen.print("No request of the period can be decided again, so that there is nothing to compare.")
    for one in found.beside:
        for line in _lines(one):
            screen.print(line)
        screen.print()
    unknown = f"; {found.cache_unpriced} of unknown price" if found.cache_unpriced else ""
    if found.cache_hits:
        screen.print(
            f"The exact cache answered {found.cache_hits:,} requests, worth {found.cache_usd:.4f} USD{unknown}."
        )
    else:
        screen.print("The exact cache answered no request.")


def _lines(one: "Beside") -> list[str]:
    from rich.markup import escape

    report, name = one.report, escape(printable(one.model))
    what = "the best single model" if one.what == "best" else "the dearest model"
    lines = [f"[bold]Beside {name} for all, {what}[/] ({report.replayed:,} of {report.requests:,} requests)"]
    if report.usd.difference is not None:
        lines.append(f"  {_gain(report.usd.difference, 1000, 'USD per 1,000', ('saved', 'more spent'), 3)}")
    if report.readout.difference is not None:
        lines.append(f"  {_gain(report.readout.difference, 100, 'points of accuracy', ('gained', 'lost'), 1, -1)}")
    return lines


def _gain(difference: "Estimate", unit: float, name: str, words: tuple[str, str], digits: int, sign: int = 1) -> str:
    """The logged choices' advantage in words.

    Args:
        difference: of the single model minus the logged choices.
        words: if the logged choices are better, and if they are not.
        sign: 1 if a higher value of the single model is to the credit of the logged choices, such as USD; else -1.
    """
    value, ends = sign * difference.value * unit, sorted((sign * difference.low * unit, sign * difference.high * unit))
    low, high = ends if value >= 0 else (-ends[1], -ends[0])
    word = words[0] if value >= 0 else words[1]
    return f"{abs(value):.{digits}f} {name} {word}, 90% interval {low:.{digits}f} to {high:.{digits}f}"
