"""`locus key`: makes, lists, rotates and revokes gateway keys, in the database that the portfolio file names.

The database is used directly, so the commands work while the gateway runs and while it does not. A running gateway sees a change
within seconds.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from gateway.commands.database import in_database, read_portfolio
from router.commands.terminal import console

if TYPE_CHECKING:
    from gateway.config.access import NewKey
    from gateway.config.portfolio import Portfolio
    from gateway.keys.store import KeyStore
    from gateway.keys.stored import StoredKey

T = TypeVar("T")
NARROW = 100  # columns; on a narrower terminal, each key takes two lines


class _Budget(click.ParamType[dict[str, Any]]):
    """`5/day` -> `{"usd": 5.0, "per": "day"}`."""

    name = "USD/WINDOW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        usd, slash, per = str(value).partition("/")
        try:
            return {"usd": float(usd), "per": per if slash else "ever"}
        except ValueError:
            self.fail(f"{value!r} is not an amount and a window, such as 5/day or 50/month", param, ctx)


_config = click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")


@click.group()
def key() -> None:
    """Make, list, rotate and revoke gateway keys."""


@key.command()
@click.argument("name")
@click.option("--team", help="Team of the key.")
@click.option(
    "--model", "models", multiple=True, help="A model that may answer; several times for more.  [default: all]"
)
@click.option("--policy", "policies", multiple=True, help="A policy that may be used.  [default: all]")
@click.option("--budget", multiple=True, type=_Budget(), help="Such as 5/day; windows: day, week, month, ever.")
@click.option("--timezone", help="Time zone of the budgets' windows.  [default: UTC]")
@click.option("--rpm", type=int, help="Most requests per minute.")
@click.option("--tpm", type=int, help="Most tokens per minute.")
@click.option("--max-parallel-requests", type=int, help="Most requests at once.")
@click.option("--expires", help="Date or time from which the key is refused, such as 2027-01-01.")
@click.option("--tag", "tags", multiple=True, help="A tag of its requests in the record.")
@_config
def create(config: Path | None, **given: Any) -> None:
    """Make a key and print it. It is shown only now.

    The key alone goes to standard output: KEY=$(locus key create ci --budget 5/day)
    """
    portfolio = read_portfolio(config)
    lists = {name: list(given[name]) for name in ("models", "policies", "budget", "tags") if given[name]}
    fields = {name: value for name, value in given.items() if value not in (None, ())} | lists
    new = new_key_of(fields, portfolio)
    made, secret = run(portfolio, lambda store: store.create(new))
    click.echo(f"key {made.name} ({made.id}); it is shown only now:", err=True)
    click.echo(secret.reveal())


@key.command("list")
@click.option("--revoked", is_flag=True, help="Revoked keys too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_config
def list_(config: Path | None, revoked: bool, as_json: bool) -> None:
    """List the keys of the portfolio file and of the database."""
    from gateway.keys.description import describe_file_key, describe_key

    portfolio = read_portfolio(config)
    used: Mapping[str, float] = {}
    stored: list[StoredKey] = []
    if portfolio.settings.database is not None:
        used, stored = run(portfolio, lambda store: _with_use(store, revoked))
    listed = [describe_file_key(one, used) for one in portfolio.access.keys]
    listed += [describe_key(one, used) for one in stored]
    if as_json:
        for one in listed:
            click.echo(orjson.dumps(one))
    else:
        _print(listed)


@key.command()
@click.argument("name")
@_config
def revoke(config: Path | None, name: str) -> None:
    """Revoke a key, given by its name or id. A running gateway refuses it within seconds."""
    made = run(read_portfolio(config), lambda store: store.revoke(name))
    click.echo(f"key {made.name} ({made.id}) is revoked", err=True)


@key.command()
@click.argument("name")
@click.option("--overlap", type=click.FloatRange(0, 31_536_000), help="How long the old key works too, seconds.")
@_config
def rotate(config: Path | None, name: str, overlap: float | None) -> None:
    """Print a new key in place of one, given by its name or id.

    The new key keeps the conversations, budgets and limits. The old one works for gateway.rotate_overlap seconds more.
    """
    portfolio = read_portfolio(config)
    seconds = portfolio.settings.rotate_overlap if overlap is None else overlap
    made, secret = run(portfolio, lambda store: store.rotate(name, seconds))
    until = datetime.fromtimestamp(made.old_until or 0).isoformat(" ", "minutes")
    old = f"the old one works until {until}" if seconds else "the old one works no more"
    click.echo(f"key {made.name} ({made.id}); {old}; the new one is shown only now:", err=True)
    click.echo(secret.reveal())


async def _with_use(store: "KeyStore", revoked: bool) -> "tuple[Mapping[str, float], list[StoredKey]]":
    return await store.last_used(), await store.keys(revoked=revoked)


def run(portfolio: "Portfolio", call: Callable[["KeyStore"], Awaitable[T]]) -> T:
    """Calls the store of keys; its errors end the command."""
    from gateway.keys.store import KeyStore

    pepper = portfolio.settings.key_pepper
    return in_database(portfolio, "keys", lambda database: call(KeyStore(database, pepper, lambda: portfolio.access)))


def new_key_of(fields: dict[str, Any], portfolio: "Portfolio") -> "NewKey":
    from gateway.config.access import NewKey
    from gateway.core.errors import InvalidRequest
    from gateway.keys.new_entry import checked_entry

    try:
        return checked_entry(NewKey, fields, portfolio)
    except InvalidRequest as exc:
        raise click.ClickException(exc.message) from exc


def _print(keys: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    from gateway.core.printable import printable

    screen = console()
    cells = [[escape(printable(cell)) for cell in _cells(one)] for one in keys]
    if screen.width < NARROW:
        for name, key_id, team, budgets, limits, uses, used, state in cells:
            more = "; ".join(part for part in (budgets, limits, uses) if part)
            screen.print(f"[bold]{name}[/] {key_id}{f', team {team}' if team else ''}  {state}, used {used}")
            if more:
                screen.print(Padding(more, (0, 0, 0, 4)))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("name", "id", "team", "budget, USD", "limits", "may use", "last used", "state"):
        table.add_column(header, overflow="fold")
    for row in cells:
        table.add_row(*row)
    screen.print(table)


def _cells(one: dict[str, Any]) -> list[str]:
    budgets = ", ".join(f"{budget['usd']:g}/{budget['per']}" for budget in one["budget"])
    limits = [f"{one[name]} {unit}" for name, unit in (("rpm", "rpm"), ("tpm", "tpm")) if one[name] is not None]
    if one["max_parallel_requests"] is not None:
        limits.append(f"{one['max_parallel_requests']} at once")
    uses = [] if one["models"] is None else one["models"]
    uses = uses + ([] if one["policies"] is None else [f"auto:{policy}" for policy in one["policies"]])
    state = "of the file" if one["source"] == "file" else f"made {one['created'][:10]}"
    if one.get("revoked"):
        state = f"revoked {one['revoked'][:10]}"
    elif one["expires"]:
        over = datetime.fromisoformat(one["expires"]) <= datetime.now(UTC)
        state += f", {'expired' if over else 'expires'} {one['expires'][:10]}"
    used = "never" if one["last_used"] is None else one["last_used"][:10]
    return [one["name"], one["id"], one["team"] or "", budgets, ", ".join(limits), ", ".join(uses), used, state]
