"""`locus feedback import`: thumbs of Open WebUI and scores of Langfuse as outcomes."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from gateway.commands.database import database_of
from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import GatewayError
from gateway.core.printable import printable
from gateway.feedback.importing import fetch, langfuse, open_webui
from gateway.feedback.importing.matching import Report, import_statements
from gateway.feedback.importing.statement import ImportFailed, Statement
from gateway.feedback.outcomes import Outcomes
from gateway.store.database import Database
from router.commands.terminal import console

SHOWN = 10  # names of statements without a request

_config = click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
_db = click.option(
    "--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]"
)


@click.group("import")
def import_feedback() -> None:
    """Take over thumbs and scores of other tools, by request id or trace id."""


@import_feedback.command("open-webui")
@click.argument("source", metavar="FILE|URL")
@_config
@_db
def open_webui_thumbs(source: str, config: Path | None, db: Path | None) -> None:
    """Take over thumbs of Open WebUI: exported feedback (JSON), its SQLite database, or its address, with OPEN_WEBUI_API_KEY."""

    def read() -> list[Statement]:
        if _is_url(source):
            return open_webui.parse(fetch.open_webui_export(source, os.environ), source)
        return open_webui.read_file(Path(source))

    _run("open-webui", read, config, db)


@import_feedback.command("langfuse")
@click.argument("source", metavar="FILE|URL")
@click.option("--name", help="Only scores of this name.")
@click.option("--lowest", default=0.0, show_default=True, help="The numeric value that is wrong.")
@click.option("--highest", default=1.0, show_default=True, help="The numeric value that is correct.")
@click.option("--good", multiple=True, help="A category that is correct; may be repeated.")
@click.option("--bad", multiple=True, help="A category that is wrong; may be repeated.")
@_config
@_db
def langfuse_scores(
    source: str,
    name: str | None,
    lowest: float,
    highest: float,
    good: Sequence[str],
    bad: Sequence[str],
    config: Path | None,
    db: Path | None,
) -> None:
    """Take over scores of Langfuse: an export (JSON, JSON lines, CSV), or its address, with LANGFUSE_PUBLIC_KEY and
    LANGFUSE_SECRET_KEY.
    """
    if lowest == highest:
        raise click.BadParameter("--lowest and --highest must differ")
    reading = langfuse.Reading(name, lowest, highest, frozenset(good), frozenset(bad))

    def read() -> list[Statement]:
        if _is_url(source):
            return langfuse.statements(fetch.langfuse_scores(source, os.environ, name), reading)
        return langfuse.read_file(Path(source), reading)

    _run("langfuse", read, config, db)


def _is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _run(tool: str, read: Callable[[], list[Statement]], config: Path | None, db: Path | None) -> None:
    location = database_of(config, db)
    try:
        statements = read()
        report = asyncio.run(_import(location, tool, statements))
    except (ImportFailed, GatewayError) as exc:
        raise click.ClickException(str(exc)) from exc
    _print(report, len(statements))
    if statements and not report.imported:
        raise click.ClickException("no outcome was imported")


async def _import(location: DatabaseLocation, tool: str, statements: Sequence[Statement]) -> Report:
    database = Database(location)
    try:
        return await import_statements(Outcomes(database), tool, statements, first=tool == "open-webui")
    finally:
        await database.close()


def _print(report: Report, number: int) -> None:
    screen = console()
    screen.print(f"{number:,} read, {report.imported:,} imported, {report.usable:,} of them usable.", highlight=False)
    for reason, count in sorted(report.without_score.items()):
        screen.print(f"{count:,} left out: {printable(reason)}.", highlight=False, markup=False)
    for names, what in (
        (report.unmatched, "belong to no request of the record"),
        (report.ambiguous, "belong to requests that different models answered"),
    ):
        if names:
            shown = ", ".join(printable(name[:80]) for name in names[:SHOWN])
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            screen.print(f"{len(names):,} {what}: {shown}{more}.", highlight=False, markup=False)
