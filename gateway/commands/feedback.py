"""`locus feedback`: how good answers were, by source and model."""

from pathlib import Path
from typing import Any

import click
import orjson

from gateway.commands.database import database_of, reading
from gateway.commands.feedback_import import import_feedback
from gateway.commands.since import Since
from gateway.core.printable import printable
from router.commands.terminal import console


@click.group(invoke_without_command=True)
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("--since", type=Since(), help="Of requests since then: 7d, or a date such as 2026-11-01.  [default: all]")
@click.option("--demo", is_flag=True, help="Of the simulated models of `locus serve --demo`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def feedback(
    context: click.Context, config: Path | None, db: Path | None, since: float | None, demo: bool, as_json: bool
) -> None:
    """Show how good answers were, by source and model."""
    if context.invoked_subcommand is not None:
        return
    with reading(database_of(config, db, demo=demo)) as connection:
        from gateway.feedback.rows import summary_of

        rows = summary_of(connection, since)
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row).decode())
    else:
        _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    if not rows:
        screen.print("No feedback yet: clients send it to /v1/feedback.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("source", "kind", "model"):
        table.add_column(name, overflow="fold", no_wrap=name == "kind")
    for name in ("outcomes", "mean", "usable", "revoked"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        mean = "-" if row["mean"] is None else f"{row['mean']:.3f}"
        names = [escape(printable(row[name])) for name in ("source", "kind", "model")]
        table.add_row(*names, f"{row['outcomes']:,}", mean, f"{row['usable']:,}", f"{row['revoked']:,}")
    screen.print(table)


feedback.add_command(import_feedback)
