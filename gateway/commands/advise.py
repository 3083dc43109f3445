"""`locus portfolio advise`: which change of the portfolio would help on the requests of the record."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.commands.replay_inputs import inputs, log_of
from gateway.commands.since import Since
from gateway.core.printable import printable
from router.commands.options import ENGINE, readable_errors
from router.commands.terminal import console, table_of
from router.parallel import check_engine

if TYPE_CHECKING:
    from gateway.replay.advise import Advice, Named

NARROW = 100  # columns
SHOWN = 10


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio in force.  [default: as `locus serve`]")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("--parquet", type=click.Path(path_type=Path, exists=True), help="Read requests from this file or folder.")
@click.option("--since", type=Since(), default="30d", show_default=True, help="A duration, or a date.")
@ENGINE
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@readable_errors
def advise(
    config: Path | None, db: Path | None, parquet: Path | None, since: float, engine: str, as_json: bool
) -> None:
    """Say which models to add, remove or replace, from your own requests.

    Candidates are the models of the model space that LiteLLM's table has a price for. A change is named only if it gains accuracy
    at equal cost in nine of ten draws of what the predictions may be off by. The portfolio file is not changed.
    """
    from gateway.replay.advise import advise as look
    from gateway.replay.sample import sample

    check_engine(engine)
    known = inputs(config, db, demo=False)
    with log_of(known.location, parquet, since, None) as log:
        found = look(sample(log, known.file_router.checkpoint), known.placed, engine)
    if as_json:
        click.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found)


def _show(found: "Advice") -> None:
    from gateway.replay.advise import FEWEST

    screen = console()
    if not found.enough:
        screen.print(
            f"Too little traffic for advice: {found.requests} requests of the period can be decided again, {FEWEST} are needed."
        )
        return
    of = "" if found.requests == found.of else f", a sample of {found.of:,}"
    screen.print(
        f"{found.requests:,} requests{of}. The portfolio answers {100 * found.accuracy:.1f}% of them, by the predictions, for "
        f"{1000 * found.usd:.3f} USD per 1,000. {found.candidates} models could be added.\n"
    )
    if found.helpful:
        _table([_in_words(one) for one in found.helpful[:SHOWN]], found.helpful[:SHOWN])
        screen.print(
            "\nEach line is one change, not all together. Confirm it by `locus replay --portfolio NEW --audit 200`."
        )
    else:
        screen.print("No change is sure to gain accuracy at equal cost.")
    if found.removals:
        screen.print("\n[bold]Without one of its models, at equal cost[/]")
        _table([_in_words(one) for one in found.removals], found.removals)


def _in_words(one: "Named") -> str:
    if one.removed is None:
        return f"add {one.added}"
    return f"remove {one.removed}" if one.added is None else f"{one.added} in place of {one.removed}"


def _table(words: list[str], changes: "tuple[Named, ...]") -> None:
    from rich.markup import escape

    screen = console()
    if screen.width < NARROW:
        for text, one in zip(words, changes, strict=True):
            screen.print(f"[bold]{escape(printable(text))}[/]")
            gain = one.change.accuracy
            screen.print(f"  {100 * gain.value:+.1f} points, {100 * gain.sure:+.1f} or more in nine of ten draws")
            screen.print(f"  or {1000 * one.change.usd:.3f} USD per 1,000 less at equal accuracy")
        return
    table = table_of(("", "points", "in nine of ten", "or USD per 1,000 saved", "gets", "cost weight"), text=(0,))
    for text, one in zip(words, changes, strict=True):
        change = one.change
        gains = f"{100 * change.accuracy.value:+.1f}", f"{100 * change.accuracy.sure:+.1f}", f"{1000 * change.usd:.3f}"
        share = "–" if one.added is None else f"{100 * change.share:.0f}%"
        table.add_row(escape(printable(text)), *gains, share, f"{change.cost_weight:.4g}")
    screen.print(table)
