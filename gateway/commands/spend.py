"""`locus spend`: sums of the ledger by key, model, team, policy or day."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.commands.database import database_of, reading
from gateway.commands.since import Since
from gateway.core.printable import printable
from gateway.core.vocabulary import NUSD_PER_USD, SPENDING_GROUPS
from router.commands.terminal import console

SUMS = (
    *("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "nusd", "unpriced_calls", "estimated_calls"),
    *("cache_hits", "saved_nusd"),
)

NUMBERS = {"calls": "calls", "prompt_tokens": "tokens in", "completion_tokens": "out", "usd": "USD"}
NARROW = 100  # columns; on a narrower terminal, the tokens of several groups are left out


class By(click.ParamType[tuple[str, ...]]):
    """Names of `SPENDING_GROUPS`, separated by commas."""

    name = "names"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read the names.

        Raises:
            click.BadParameter: one is unknown.
        """
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        for name in names:
            if name not in SPENDING_GROUPS:
                self.fail(f"{name!r} is none of {', '.join(SPENDING_GROUPS)}", param, ctx)
        return names


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("--since", type=Since(), help="A duration such as 7d, or a date such as 2026-11-01.  [default: all]")
@click.option(
    "--by", type=By(), default="key", show_default=True, help=f"Any of {', '.join(SPENDING_GROUPS)}, with commas."
)
@click.option("--demo", is_flag=True, help="What the simulated models of `locus serve --demo` would have cost.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def spend(
    config: Path | None,
    db: Path | None,
    since: float | None,
    by: tuple[str, ...],
    demo: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show what was spent, from the ledger of billed calls. Days are UTC."""
    with reading(database_of(config, db, demo=demo)) as connection:
        from gateway.record.spending import sums_by

        rows = sums_by(connection, by, since)
    columns = (*by, *SUMS[:4], "usd", *SUMS[5:-1], "saved_usd")
    rows = [row | {"usd": row["nusd"] / NUSD_PER_USD, "saved_usd": row["saved_nusd"] / NUSD_PER_USD} for row in rows]
    if as_json:
        for row in rows:
            click.echo(orjson.dumps({name: row[name] for name in columns}).decode())
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            [f"{row[name]:.9f}" if name in ("usd", "saved_usd") else row[name] for name in columns] for row in rows
        )
    else:
        _print(by, rows)


def _print(by: Sequence[str], rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    if not rows:
        screen.print("Nothing was spent.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, show_footer=len(rows) > 1)
    total = {name: sum(row[name] for row in rows) for name in SUMS}
    for place, name in enumerate(by):
        table.add_column(name, "all" if place == 0 else "", overflow="fold", no_wrap=name == "day")
    numbers = NUMBERS if screen.width >= NARROW or len(by) == 1 else {"calls": "calls", "usd": "USD"}
    for name, header in numbers.items():
        footer = _usd(total["nusd"] / NUSD_PER_USD) if name == "usd" else f"{total[name]:,}"
        table.add_column(header, footer, justify="right", no_wrap=True)
    for row in rows:
        groups = [escape(printable(str(row[name]))) if row[name] is not None else "-" for name in by]
        table.add_row(*groups, *(_usd(row[name]) if name == "usd" else f"{row[name]:,}" for name in numbers))
    screen.print(table)
    if hits := total["cache_hits"]:
        screen.print(f"The cache gave {hits:,} answers that had cost {_usd(total['saved_nusd'] / NUSD_PER_USD)} USD.")
    for count, what in (
        (total["unpriced_calls"], "have no known price and are not in the sums of USD"),
        (total["estimated_calls"], "reported no usage: their tokens are estimated"),
    ):
        if count:
            screen.print(f"[yellow]{count:,} of {total['calls']:,} calls {what}.[/]")


def _usd(usd: float) -> str:
    return f"{usd:.6f}" if usd < 1 else f"{usd:.2f}"
