"""`locus migrate`: upgrades the database by hand, before the gateway of a new version starts."""

from pathlib import Path

import click

from gateway.commands.database import database_of, plain_reason


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
def migrate(config: Path | None, db: Path | None) -> None:
    """Upgrade the database to this version.

    `locus serve` does the same at its start. Several processes may do it at once: one upgrades, the others wait.
    """
    location = database_of(config, db)
    if db is not None and not db.is_file():
        raise click.ClickException(f"{db}: no such file")
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.store.schema import HEAD, upgrade

    try:
        done = upgrade(location)
    except (SQLAlchemyError, OSError) as exc:
        raise click.ClickException(f"{location}: {plain_reason(location, exc)}") from exc
    if done.newer:
        text = f"has version {done.after}, newer than {HEAD} of this gateway: unchanged"
    elif done.before is None:
        text = f"created with version {done.after}"
    elif done.before == done.after:
        text = f"has version {done.after} already"
    else:
        text = f"upgraded from version {done.before or '0000'} to {done.after}"
    click.echo(f"{location}: {text}")
