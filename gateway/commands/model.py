"""`locus model`: the versions of a model's embedding, and its state, in the database that the portfolio file names.

The database is used directly, so the commands work while the gateway runs and while it does not. A running gateway uses a change
within seconds.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import orjson

from gateway.commands.database import in_database, read_portfolio
from gateway.commands.log_table import NARROW
from gateway.core.printable import printable
from gateway.model_versions.states import MOST_REASON, OF_DEPLOYMENTS, SETTABLE, State
from router.commands.options import JSON
from router.commands.terminal import console, table_of

if TYPE_CHECKING:
    from gateway.model_versions.model_versions import ModelVersions
    from gateway.model_versions.stored import Version

T = TypeVar("T")
_config = click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")


@click.group()
def model() -> None:
    """Show and change the version of a model's embedding, and its state."""


@model.command()
@click.argument("name")
@click.option("--deployment", metavar="ID", help="Only the versions of this deployment.")
@JSON
@_config
def history(name: str, deployment: str | None, as_json: bool, config: Path | None) -> None:
    """List the versions of the embedding of NAME, a model of the portfolio; the newest first."""
    from gateway.model_versions.description import describe_version

    versions = _run(config, name, lambda store: store.history(name, deployment))
    if as_json:
        click.echo(orjson.dumps([describe_version(one) for one in versions], option=orjson.OPT_INDENT_2))
        return
    if not versions:
        click.echo(f"{name} has no versions: what the model spaces say of it is in use.")
        return
    _show(versions)


@model.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(0), required=False)
@click.option("--deployment", metavar="ID", help="The version of this deployment instead of the model's.")
@_config
def rollback(name: str, version: int | None, deployment: str | None, config: Path | None) -> None:
    """Use an earlier version of the embedding of NAME, a model of the portfolio.

    Without VERSION it is the version before the present one. 0 stands for what the model spaces say of the model.
    """

    async def change(store: "ModelVersions") -> int | None:
        if version is None:
            return await store.roll_back(name, deployment)
        await store.make_live(name, version or None, deployment)
        return version or None

    now = _run(config, name, change, deployment)
    what = "what the model spaces say of it" if now is None else f"version {now}"
    click.echo(f"{deployment or name} uses {what}; a running gateway does so within seconds", err=True)


@model.command()
@click.argument("name")
@click.argument("state", type=click.Choice(SETTABLE))
@click.option("--deployment", metavar="ID", help="The state of this deployment instead of the model's.")
@click.option("--reason", default="set by the operator", show_default=True, help="Shown wherever the state is.")
@_config
def state(name: str, state: State, deployment: str | None, reason: str, config: Path | None) -> None:
    """Set how far routing trusts NAME, a model of the portfolio.

    shadow: predicted and recorded, but only served when named. limited: a tenth of the requests at most, with caution, for 200
    requests. live: as any other. suspect: with caution. quarantined: only served when named; no calls go to a deployment.
    "declared" and "probing" are set by the gateway alone: a model is declared until it is onboarded, and probing meanwhile.
    """
    if deployment is not None and state not in OF_DEPLOYMENTS:
        raise click.UsageError(f"The state of a deployment is one of {', '.join(OF_DEPLOYMENTS)}.")
    if len(reason) > MOST_REASON:
        raise click.BadParameter(f"at most {MOST_REASON} characters", param_hint="--reason")
    _run(config, name, lambda store: store.set_state(name, state, reason, deployment=deployment), deployment)
    click.echo(f"{deployment or name} is {state}; a running gateway uses this within seconds", err=True)


def _show(versions: "Sequence[Version]") -> None:
    """Prints one row for each version; on a narrow terminal a line, and its note below it."""
    from rich.markup import escape
    from rich.padding import Padding

    screen = console()
    narrow = screen.width < NARROW
    table = table_of(["version", "", "of", "made", "source", "evaluations"], text=(0, 1, 2, 3, 4))
    table.add_column("note", overflow="fold")
    for one in versions:
        made = datetime.fromtimestamp(one.time).isoformat(" ", "minutes")
        of, note = escape(printable(one.deployment or "model")), escape(printable(one.note))
        live = "live" if one.live else ""
        if narrow:
            words = [
                f"version {one.version}",
                live,
                "" if one.deployment is None else f"of {of}",
                f"{made}",
                one.source,
            ]
            screen.print("  ".join([*filter(None, words), f"{one.evaluations} evaluations"]))
            screen.print(Padding(note, (0, 0, 0, 4)))
        else:
            table.add_row(str(one.version), live, of, made, one.source, str(one.evaluations), note)
    if not narrow:
        screen.print(table)


def _run(
    config: Path | None, name: str, call: Callable[["ModelVersions"], Awaitable[T]], deployment: str | None = None
) -> T:
    """Calls the versions in the portfolio's database.

    Raises:
        click.ClickException: the portfolio lacks the model or the deployment, or the database cannot be used.
    """
    from gateway.model_versions.model_versions import ModelVersions

    portfolio = read_portfolio(config)
    models = {one.name: one for one in portfolio.models}
    if name not in models:
        raise click.ClickException(f"the portfolio has no chat model {name!r}; it has {', '.join(models)}")
    deployments = [one.id for one in models[name].deployments]
    if deployment is not None and deployment not in deployments:
        raise click.ClickException(f"{name} has no deployment {deployment!r}; it has {', '.join(deployments)}")
    return in_database(portfolio, "models", lambda database: call(ModelVersions(database)))
