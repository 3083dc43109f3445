"""`locus log`: prints the last recorded requests, as a table or as JSON lines."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.commands.portfolio_path import find_portfolio
from gateway.core.client_limits import LONGEST_NAME
from gateway.core.printable import printable, printable_json
from gateway.core.vocabulary import NUSD_PER_USD
from router.commands.terminal import console

if TYPE_CHECKING:
    from rich.console import Console

NARROW = 100  # columns; on a narrower terminal, each request takes two lines


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the record.")
@click.option(
    "--db",
    type=click.Path(path_type=Path),
    help="Database file.  [default: the one in the portfolio]",
)
@click.option("-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="Number of requests.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, oldest first.")
@click.option("--demo", is_flag=True, help="Show the requests to the simulated models of `locus serve --demo`.")
def log(config: Path | None, db: Path | None, number: int, as_json: bool, demo: bool) -> None:
    """Show the last recorded requests."""
    path = db or _record_path(config, demo=demo)
    if not path.is_file():
        raise click.ClickException(f"{path}: no such record; it is written by `locus serve` when a request comes in.")
    try:
        rows = read_last(path, number)
    except sqlite3.Error as exc:
        raise click.ClickException(f"{path}: {exc}") from exc
    if as_json:
        for row in rows:
            click.echo(_json_line(row))
    else:
        _print_table(rows)


def read_last(path: Path, number: int) -> list[dict[str, Any]]:
    """Returns the last `number` records, in the order in which the requests arrived, with their JSON columns parsed."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT * FROM requests ORDER BY rowid DESC LIMIT ?", (number,)).fetchall()
    parsed = []
    rows.reverse()  # the sort is stable: records of one time stay in the order in which they were written
    for row in sorted(rows, key=lambda row: row["time"]):
        record = dict(row)
        for column in ("candidates", "failover", "parts", "prompt"):
            if record[column] is not None:
                record[column] = orjson.loads(record[column])
        parsed.append(record)
    return parsed


def _json_line(row: dict[str, Any]) -> str:
    """Returns the row as JSON. Characters that a terminal would not print are written as escapes."""
    return printable_json(orjson.dumps(row).decode())


def _record_path(config: Path | None, *, demo: bool) -> Path:
    import os

    from gateway.config.portfolio_file import PortfolioError, load_portfolio
    from gateway.config.settings import Settings

    path = config or find_portfolio()
    if path is None:  # the record of `locus serve --demo`
        return Settings().of_demo().record or Path()
    try:
        settings = load_portfolio(path, os.environ, writes=False).settings
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc
    record = settings.of_demo().record if demo else settings.record
    if record is None:
        raise click.ClickException("this portfolio records nothing (`record: null`)")
    return record


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one request, with rich's markup; names are escaped.

    Attributes:
        below: one more line per failed attempt and per deployment that continued the stream; each with its tokens or nothing.
    """

    time: str
    asked: str
    served: str
    p: str
    tokens: str
    usd: str
    ms: str
    own: str
    status: str
    below: tuple[tuple[str, str], ...]


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Prints one line per request and one per failed attempt below it; two lines per request on a narrow terminal."""
    from rich.table import Table

    screen = console()
    shown = [_in_words(row) for row in rows]
    if screen.width < NARROW:
        for one in shown:
            _print_narrow(screen, one)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("time", "asked", "answered by", "p", "tokens", "USD", "ms", "own", "status"):
        table.add_column(header, overflow="fold", no_wrap=header in ("time", "p", "tokens", "USD", "ms", "own"))
    for one in shown:
        table.add_row(one.time, one.asked, one.served, one.p, one.tokens, one.usd, one.ms, one.own, one.status)
        for what, tokens in one.below:
            table.add_row("", "", what, "", tokens)
    screen.print(table)


def _print_narrow(screen: "Console", one: _Cells) -> None:
    from rich.padding import Padding

    screen.print(f"{one.time}  {one.asked} → {one.served}  {one.status}")
    screen.print(Padding(f"p {one.p}, {one.tokens} tokens, {one.usd} USD, {one.ms} ms, own {one.own}", (0, 0, 0, 4)))
    for what, tokens in one.below:
        screen.print(Padding(f"{what} {tokens}".rstrip(), (0, 0, 0, 4)))


def _in_words(row: dict[str, Any]) -> _Cells:
    served = _name(row["served"])
    if row["served"] is not None and row["served"] != row["chosen"]:
        far = "" if row["stand_in_distance"] is None else f"{row['stand_in_distance']:.2f} "
        served = f"[yellow]{served}, {far}from {_name(row['chosen'])}[/]"
    if row.get("simulated") and row["served"] is not None:  # the record of an older version has no such column
        served += " [magenta](simulated)[/]"
    below = []
    for attempt in row["failover"] or []:
        status = "" if attempt["status"] is None else f" {attempt['status']}"
        late = " after content" if attempt.get("after_content") else ""
        skipped = "" if attempt.get("called", True) else "not called: "
        below.append((f"[dim]{_name(attempt['deployment'])} {skipped}{_name(attempt['cause'])}{status}{late}[/]", ""))
    for part in (row["parts"] or [])[1:]:
        tokens = f"{part['prompt_tokens']}+{part['completion_tokens']}"
        below.append((f"[yellow]{_name(part['deployment'])} continued[/]", tokens))
    return _Cells(
        datetime.fromtimestamp(row["time"]).strftime("%H:%M:%S"),
        _name(row["requested"]),  # as the client wrote it
        served,
        _number(row["p_correct"], ".2f"),
        "-" if row["prompt_tokens"] is None else f"{row['prompt_tokens']}+{row['completion_tokens']}",
        "-" if row.get("cost_nusd") is None else f"{row['cost_nusd'] / NUSD_PER_USD:.6f}",
        _number(row["latency_ms"], ".0f"),
        _number(row["overhead_ms"], ".1f"),
        f"[red]{row['status']} {_name(row['error'])}[/]" if row["error"] else str(row["status"]),
        tuple(below),
    )


def _name(text: str | None) -> str:
    """Returns a name that is safe to print on a terminal, whatever a client wrote."""
    from rich.markup import escape

    return escape(printable(text[:LONGEST_NAME])) if text else "-"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
