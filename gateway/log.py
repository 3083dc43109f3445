"""`locus log`: the last recorded requests, for a person or as JSON lines."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file whose record is shown.")
@click.option("--db", type=click.Path(path_type=Path), help="Database file; default: the one that --config names.")
@click.option("-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="How many requests.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, oldest first.")
def log(config: Path | None, db: Path | None, number: int, as_json: bool) -> None:
    """Show the last recorded requests."""
    path = db or _record_path(config)
    if not path.is_file():
        raise click.ClickException(f"{path}: no such record; it is written by `locus serve` when a request comes in.")
    try:
        rows = read_last(path, number)
    except sqlite3.Error as exc:
        raise click.ClickException(f"{path}: {exc}") from exc
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row).decode())
    else:
        _print_table(rows)


def read_last(path: Path, number: int) -> list[dict[str, Any]]:
    """The last `number` records to be written, by their time of arrival, with their JSON columns parsed."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT * FROM requests ORDER BY rowid DESC LIMIT ?", (number,)).fetchall()
    parsed = []
    rows.reverse()  # of one time as they were written
    for row in sorted(rows, key=lambda row: row["time"]):
        record = dict(row)
        for column in ("candidates", "failover", "parts", "prompt"):
            if record[column] is not None:
                record[column] = orjson.loads(record[column])
        parsed.append(record)
    return parsed


def _record_path(config: Path | None) -> Path:
    import os

    from gateway.portfolio_file import PortfolioError, load_portfolio
    from gateway.serve import default_config

    try:
        record = load_portfolio(config or default_config(), os.environ, writes=False).settings.record
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc
    if record is None:
        raise click.ClickException("this portfolio records nothing (`record: null`)")
    return record


def _print_table(rows: list[dict[str, Any]]) -> None:
    """One line per request, and one more beneath it for each attempt that failed."""
    from rich.markup import escape
    from rich.table import Table

    from router.commands import console

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("time", "asked", "answered by", "p", "tokens", "USD", "ms", "own", "status"):
        table.add_column(header, overflow="fold", no_wrap=header in ("time", "p", "tokens", "USD", "ms", "own"))
    for row in rows:
        served = escape(row["served"] or "-")
        if row["served"] is not None and row["served"] != row["chosen"]:
            far = "" if row["stand_in_distance"] is None else f"{row['stand_in_distance']:.2f} "
            served = f"[yellow]{served}, {far}from {escape(row['chosen'] or '-')}[/]"
        if row.get("simulated"):  # a record that an older version began has no such column
            served += " [magenta](simulated)[/]"
        tokens = "-" if row["prompt_tokens"] is None else f"{row['prompt_tokens']}+{row['completion_tokens']}"
        table.add_row(
            datetime.fromtimestamp(row["time"]).strftime("%H:%M:%S"),
            escape(row["requested"] or "-"),  # as the client wrote it
            served,
            _number(row["p_correct"], ".2f"),
            tokens,
            _number(row["cost_usd"], ".6f"),
            _number(row["latency_ms"], ".0f"),
            _number(row["overhead_ms"], ".1f"),
            f"[red]{row['status']} {row['error']}[/]" if row["error"] else str(row["status"]),
        )
        for attempt in row["failover"] or []:
            status = "" if attempt["status"] is None else f" {attempt['status']}"
            late = " after content" if attempt.get("after_content") else ""
            table.add_row("", "", f"[dim]{escape(attempt['deployment'])} {attempt['cause']}{status}{late}[/]")
        for part in (row["parts"] or [])[1:]:
            tokens = f"{part['prompt_tokens']}+{part['completion_tokens']}"
            table.add_row("", "", f"[yellow]{escape(part['deployment'])} went on[/]", "", tokens)
    console().print(table)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
