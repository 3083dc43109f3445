"""`locus drift`: the deployments that are watched for changes, and what was found."""

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.commands.database import database_of, reading
from gateway.core.printable import printable
from router.commands.terminal import console

if TYPE_CHECKING:
    from gateway.drift.store import Event, Watch

SHOWN = 20  # events
_DOUBTED = ("suspect", "quarantined")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def drift(config: Path | None, db: Path | None, as_json: bool) -> None:
    """Show which deployments are watched for changes of their models, and what was found.

    `drift` in the portfolio file switches it on. Evidence 1 says nothing; the alarm is at 1 / false_alarms.
    """
    with reading(database_of(config, db)) as connection:
        from gateway.drift.store import events_in, states_in, watches_in

        watches, events, states = watches_in(connection), events_in(connection, SHOWN), states_in(connection)
    if as_json:
        from gateway.drift.store import watch_fields

        found = {
            "data": [watch_fields(watch, states) for watch in watches],
            "events": [event.fields() for event in events],
        }
        click.echo(orjson.dumps(found).decode())
    else:
        _print(watches, events, states)


def _print(watches: "Sequence[Watch]", events: "Sequence[Event]", states: Mapping[str, str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    if not watches:
        screen.print("No deployment is watched: write `drift: {}` into the portfolio file and start `locus serve`.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("deployment", overflow="fold")
    for name in ("probes", "rounds", "evidence"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", overflow="fold")
    for watch in watches:
        told = states.get(watch.deployment)
        asked = watch.reason or ("baseline is asked" if watch.chosen is None else "watched")
        state = f"{told}; {asked}" if told in _DOUBTED else asked
        cells = (str(len(watch.chosen or ())), f"{watch.rounds:,}", f"{watch.evidence:.3g}")
        table.add_row(escape(printable(watch.deployment)), *cells, escape(printable(state)))
    screen.print(table)
    for event in events:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(event.time))
        color = "red" if event.kind == "changed" else "yellow"
        screen.print(f"{at}  [{color}]{escape(printable(event.deployment))}[/]: {escape(printable(event.words))}")
    if doubted := [watch for watch in watches if states.get(watch.deployment) in _DOUBTED]:
        first = doubted[0]
        command = shlex.join(["locus", "model", "state", first.model, "live", "--deployment", first.deployment])
        words = f"To trust {first.deployment} again: {command}"
        screen.print(printable(words), markup=False, highlight=False, soft_wrap=True)
