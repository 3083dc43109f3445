"""`locus feedback`: how good answers were, by source and model; what that weighs, and what it has changed."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.commands.database import database_of, reading
from gateway.commands.feedback_import import import_feedback
from gateway.commands.portfolio_path import find_portfolio
from gateway.commands.since import Since
from gateway.config.database_location import DatabaseLocation
from gateway.core.printable import printable
from router.commands.terminal import console

if TYPE_CHECKING:
    from gateway.config.portfolio import Portfolio
    from gateway.feedback.overview import ModelOverview

_CAPPED = 0.99  # of the weight: below, a cap bites


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
    """Show how good answers were, by source and model.

    If the portfolio file has the section `feedback`: also how many evaluations that weighs, what the caps leave of it, and what
    became of the last refinement of each model.
    """
    if context.invoked_subcommand is not None:
        return
    location = database_of(config, db, demo=demo)
    with reading(location) as connection:
        from gateway.feedback.rows import summary_of

        rows = summary_of(connection, since)
    portfolio = None if db is not None or demo else _portfolio(config)
    models = {} if portfolio is None or not rows else _overview(portfolio, location)
    for row in rows:
        source = models[row["model"]].sources.get(row["source"]) if row["model"] in models else None
        row["weight"], row["allowed"] = (None, None) if source is None else (source.weight, source.allowed)
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row).decode())
    else:
        _print(rows, models)


def _portfolio(config: Path | None) -> "Portfolio | None":
    """The portfolio, if its outcomes refine embeddings."""
    from gateway.config.portfolio_file import load_portfolio

    path = config or find_portfolio()
    if path is None:
        return None
    portfolio = load_portfolio(path, os.environ, writes=False)
    return portfolio if portfolio.feedback is not None else None


def _overview(portfolio: "Portfolio", location: DatabaseLocation) -> "dict[str, ModelOverview]":
    from gateway.core.errors import GatewayError
    from gateway.feedback.outcomes import Outcomes
    from gateway.feedback.overview import overview
    from gateway.model_versions.model_versions import ModelVersions
    from gateway.store.database import Database
    from router.errors import RouterError
    from router.model.serving import Router

    settings = portfolio.feedback
    assert settings is not None

    async def read() -> "dict[str, ModelOverview]":
        router = Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)
        database = Database(location)
        try:
            return await overview(portfolio, router, settings, Outcomes(database), ModelVersions(database))
        finally:
            await database.close()

    try:
        return asyncio.run(read())
    except (GatewayError, RouterError) as exc:
        raise click.ClickException(str(exc)) from exc


def _print(rows: list[dict[str, Any]], models: "Mapping[str, ModelOverview]") -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    if not rows:
        screen.print("No feedback yet: clients send it to /v1/feedback.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))  # fits into 80 columns
    for name in ("source", "kind", "model"):
        table.add_column(name, overflow="fold", no_wrap=name == "kind")
    for name in ("outcomes", "mean", "usable", "revoked", *(("weight", "allowed") if models else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        mean = "-" if row["mean"] is None else f"{row['mean']:.3f}"
        names = [escape(printable(row[name])) for name in ("source", "kind", "model")]
        table.add_row(
            *names,
            f"{row['outcomes']:,}",
            mean,
            f"{row['usable']:,}",
            f"{row['revoked']:,}",
            *(_weights(row["weight"], row["allowed"]) if models else ()),
        )
    screen.print(table)
    for name, model in models.items():
        screen.print(_state(printable(name), model), markup=False, highlight=False, soft_wrap=True)
    waiting = [name for name, one in models.items() if one.sources and one.known and one.exact < one.needed]
    if waiting:
        screen.print(_why_nothing(waiting, models), markup=False, highlight=False, soft_wrap=True)


def _why_nothing(names: Sequence[str], models: "Mapping[str, ModelOverview]") -> str:
    """Why outcomes of these models change nothing, and what would let them."""
    first, needed = names[0], models[names[0]].needed
    version = next((models[name].last for name in names if models[name].last is not None), None)
    by_hand = (
        ""
        if version is None
        else f" `locus model rollback {printable(version.model)} {version.version}` makes a refinement live by hand."
    )
    return (
        f"Nothing goes live by itself for {', '.join(map(printable, names))}: thumbs and judgements alone cannot show that an "
        f"embedding has become better, since people report what they like. A check needs {needed} exact outcomes of a model, and "
        f"{models[first].exact} of {printable(first)} are usable: add a grader with a checker to `feedback.graders`.{by_hand}"
    )


def _weights(weight: float | None, allowed: float | None) -> tuple[str, str]:
    if weight is None or allowed is None:
        return "-", "-"
    cut = f"[yellow]{allowed:.1f}[/]" if allowed < _CAPPED * weight else f"{allowed:.1f}"
    return f"{weight:.1f}", cut


def _state(name: str, model: "ModelOverview") -> str:
    """What became of the last refinement of a model."""
    if model.gone_back:
        return f"{name}: not refined since an earlier version was made live; `locus model rollback` can choose a refinement"
    if model.last is None and not model.known:
        return f"{name}: nothing is known of it that could be refined: `locus onboard {name}`"
    if model.last is None:
        return f"{name}: {'not refined yet' if model.sources else 'none of its outcomes is usable'}"
    at = datetime.fromtimestamp(model.last.time).isoformat(" ", "minutes")
    live = ", live" if model.last.live else ""
    return f"{name}: version {model.last.version}{live}, {at}: {model.last.note}"


feedback.add_command(import_feedback)
