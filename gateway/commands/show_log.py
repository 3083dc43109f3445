"""`locus log`: prints the last recorded requests, and new ones as they come, as a table or as JSON lines."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.commands.database import database_of, reading
from gateway.commands.log_table import LogTable
from gateway.commands.since import Since
from gateway.config.database_location import DatabaseLocation
from gateway.core.printable import printable_json
from router.commands.options import readable_errors

FOLLOW_S = 0.5


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the record.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="Number of requests.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new requests until Ctrl-C.")
@click.option("--errors", is_flag=True, help="Only requests with an error or a failed call, and the provider's words.")
@click.option("--since", type=Since(), help="A duration such as 1h, or a date such as 2026-11-01.")
@click.option("--model", help="Only requests that named this model, or that it was chosen for or answered.")
@click.option("--key", help="Only requests of the gateway key with this name or id, or of system:drift and the like.")
@click.option("--probes", is_flag=True, help="Also the gateway's own calls: onboarding, drift, graders, audits.")
@click.option("--demo", is_flag=True, help="Show the requests to the simulated models of `locus serve --demo`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, oldest first.")
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all requests since --since to this file, without texts, for `locus replay --parquet`.",
)
def log(
    config: Path | None,
    db: Path | None,
    number: int,
    follow: bool,
    as_json: bool,
    parquet: Path | None,
    demo: bool,
    **conditions: Any,
) -> None:
    """Show the last recorded requests."""
    location = database_of(config, db, demo=demo)
    if parquet is not None:
        _export(location, parquet, conditions)
        return
    table = LogTable(reasons=conditions["errors"], fixed=follow)
    with suppress(KeyboardInterrupt):
        for rows in _batches(location, conditions, number, follow=follow):
            if as_json:
                for row in rows:
                    click.echo(_json_line(row))
            else:
                table.show(rows)


@readable_errors
def _export(location: DatabaseLocation, path: Path, conditions: dict[str, Any]) -> None:
    """Writes the requests to a parquet file."""
    unused = [name for name, value in conditions.items() if name != "since" and value]
    if unused:
        raise click.UsageError(f"--parquet writes all requests since --since: leave out --{unused[0]}.")
    from gateway.replay.logged import DatabaseLog
    from gateway.replay.parquet import write_parquet

    with reading(location) as connection:
        try:
            count = write_parquet(DatabaseLog(connection, conditions["since"]), path)
        except OSError as exc:
            raise click.ClickException(f"{path}: {exc.strerror or exc}") from exc
    click.echo(f"{count:,} requests are in {path}.")


def read_last(path: Path, number: int) -> list[dict[str, Any]]:
    """Return the last `number` records of an SQLite file, in the order of their arrival, with JSON columns parsed."""
    return next(_batches(DatabaseLocation(file=path), {"probes": True}, number, follow=False))


def _batches(
    location: DatabaseLocation, conditions: dict[str, Any], number: int, *, follow: bool
) -> Iterator[list[dict[str, Any]]]:
    """The last requests; then, if they are followed, the new ones of each half second.

    Args:
        conditions: fields of `RequestFilter`.
    """
    with reading(location) as connection:
        from gateway.record.reading import RequestFilter, last_ids, last_requests, new_requests

        which = RequestFilter(**conditions)
        seen = last_ids(connection) if follow else set()
        rows = last_requests(connection, which, number)
    yield rows
    while follow:
        time.sleep(FOLLOW_S)
        with reading(location) as connection:
            rows = new_requests(connection, which, seen)
        yield rows


def _json_line(row: dict[str, Any]) -> str:
    """Returns the row as JSON. Characters that a terminal would not print are written as escapes."""
    return printable_json(orjson.dumps(row).decode())
