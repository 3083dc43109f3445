"""`locus import-config litellm config.yaml`: turns the configuration of another gateway into a portfolio file.

It reports each setting that means something else here or has no equivalent.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.notices import notify, problems_found, warn
from gateway.commands.portfolio_writer import checked_draft, put_in_place
from router.commands.groups import CommandGroup

if TYPE_CHECKING:
    from gateway.config.access import NewKey
    from gateway.keys.store import KeyStore
    from gateway.keys.stored import StoredKey
    from gateway.migrate.litellm_config import Imported

_HEADINGS = {
    "look": "please look at:",
    "changed": "means something else here:",
    "lost": "has no equivalent:",
}


@click.group("import-config", cls=CommandGroup, subcommand_metavar="FORMAT CONFIG [--out PORTFOLIO]")
def import_config() -> None:
    """Turn the configuration of another gateway into a portfolio file."""


@import_config.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="PORTFOLIO", help="Default: standard output.")
@click.option("--force", is_flag=True, help="Replace PORTFOLIO if it exists.")
def litellm(config: Path, out: Path | None, force: bool) -> None:
    """Read the config.yaml of a LiteLLM proxy, with all the files that it includes.

    Keys that are references stay references. Literal keys are written to PORTFOLIO, but never to standard output. Settings
    that change their meaning or have no equivalent are reported on standard error, with their lines.
    """
    write_imported(config, out, force=force)


@import_config.command("litellm-keys")
@click.argument("keys", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the database.")
def litellm_keys(keys: Path, config: Path | None) -> None:
    """Accept the keys of a LiteLLM proxy, so that clients need no new ones.

    KEYS is the answer of its GET /key/list?return_full_object=true, or its table of keys as a JSON list. It has the SHA-256 of each
    key; `locus key rotate` replaces a key by one of this gateway.
    """
    from gateway.commands.database import read_portfolio
    from gateway.commands.keys import new_key_of, run
    from gateway.migrate.litellm_keys import NotKeys, read_litellm_keys

    try:
        exported = read_litellm_keys(keys.read_bytes())
    except NotKeys as exc:
        raise click.ClickException(f"{keys}: {exc}") from exc
    portfolio = read_portfolio(config)
    findings, taken = list(exported.findings), 0
    for sha256, fields in exported.keys:
        try:
            new = new_key_of(fields, portfolio)
            run(portfolio, partial(_take_over, new=new, sha256=sha256))
            taken += 1
        except click.ClickException as exc:
            findings.append(f"{fields['name']}: left out, {exc.message}")
    for finding in findings:
        notify(f"  {finding}")
    click.echo(f"{taken} of {len(exported.keys) + len(exported.findings)} keys are accepted", err=True)


async def _take_over(store: "KeyStore", new: "NewKey", sha256: bytes) -> "StoredKey":
    return await store.take_over(new, sha256)


def write_imported(config: Path, out: Path | None, *, force: bool) -> None:
    """Writes the portfolio made of a LiteLLM configuration, and reports what is different in it.

    Args:
        out: the portfolio file; None for standard output.
        force: whether a file of this name may be replaced.

    Raises:
        click.ClickException: the configuration cannot be read, or the portfolio cannot be written.
    """
    from gateway.config.portfolio_file import PortfolioError
    from gateway.migrate.litellm_config import ImportProblems, import_litellm

    if out is not None and out.exists():
        if config.exists() and out.samefile(config):
            raise click.ClickException(f"{out} is the configuration itself")
        if not force:
            raise click.ClickException(f"{out} exists; --force replaces it")
    try:
        imported = import_litellm(config, space_names(), os.environ, literals=out is not None)
        _write(imported, out, force)
    except ImportProblems as exc:
        raise problems_found(exc.problems, f"in {config}") from exc
    except PortfolioError as exc:
        where = "in the portfolio made of it; this is a bug in `locus import-config`"
        raise problems_found(exc.problems, where) from exc
    except FileExistsError as exc:
        raise click.ClickException(f"{out} exists; --force replaces it") from exc
    except OSError as exc:
        raise click.ClickException(f"{out}: cannot be written: {exc.strerror}") from exc
    _report(imported, config)


def space_names() -> tuple[str, ...]:
    """Returns the names of the models in the shipped model space; none, with a notice, if it cannot be loaded."""
    from router.errors import ArtifactError
    from router.model.serving import SPACE
    from router.model.space import ModelSpace

    try:
        return ModelSpace.load(SPACE).models
    except ArtifactError as exc:
        click.echo(f"no model space, so no embeddings: {exc}", err=True)
        return ()


def _write(imported: "Imported", out: Path | None, force: bool) -> None:
    with checked_draft(imported.text, Path(tempfile.gettempdir()) if out is None else out.parent) as draft:
        if out is None:
            click.echo(imported.text, nl=False)
        else:
            put_in_place(draft, out, replace=force, private=bool(imported.literal_secrets))


def _report(imported: "Imported", config: Path) -> None:
    for kind, heading in _HEADINGS.items():
        lines = [finding for finding in imported.findings if finding.kind == kind]
        if lines:
            click.secho(heading, bold=True, err=True)
        for finding in lines:
            notify(f"  {finding}")
    missing = [name for name in imported.variables if not os.environ.get(name)]
    if missing:
        warn(f"not set in this environment: {', '.join(missing)}")
    click.echo(
        f"{config}: {imported.models} of its models in {imported.deployments} deployments; "
        f"`auto` chooses among {imported.embedded}",
        err=True,
    )
