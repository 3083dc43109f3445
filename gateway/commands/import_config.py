"""`locus import-config litellm config.yaml`: another gateway's configuration -> a portfolio file and a report."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.notices import tell, warn
from router.commands.groups import CommandGroup

if TYPE_CHECKING:
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
    """A LiteLLM proxy's config.yaml, with all that it includes.

    Keys by reference stay references; literal ones are written to a file, but never printed. What changes its meaning or
    has no equivalent is reported on stderr, with its line.
    """
    from gateway.config.portfolio_file import PortfolioError
    from gateway.migrate.litellm_config import ImportProblems, import_litellm

    if out is not None and out.exists():
        if config.exists() and out.samefile(config):
            raise click.ClickException(f"{out} is the configuration itself")
        if not force:
            raise click.ClickException(f"{out} exists; --force replaces it")
    try:
        imported = import_litellm(config, _space_names(), os.environ, literals=out is not None)
        _write(imported, out, force)
    except ImportProblems as exc:
        _fail(exc.problems, f"in {config}")
    except PortfolioError as exc:
        _fail(exc.problems, "in the portfolio made of it, which is a fault of this command")
    except FileExistsError as exc:
        raise click.ClickException(f"{out} exists; --force replaces it") from exc
    except OSError as exc:
        raise click.ClickException(f"{out}: cannot be written: {exc.strerror}") from exc
    _report(imported, config)


class _Assumed(Mapping[str, str]):
    """An environment in which every variable holds what can be a key or an address: what is not set here may be set elsewhere."""

    def __getitem__(self, name: str) -> str:
        return "https://assumed.invalid"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _space_names() -> tuple[str, ...]:
    from router.errors import ArtifactError
    from router.model.serving import SPACE
    from router.model.space import ModelSpace

    try:
        return ModelSpace.load(SPACE).models
    except ArtifactError as exc:
        click.echo(f"no model space, so no embeddings: {exc}", err=True)
        return ()


def _write(imported: "Imported", out: Path | None, force: bool) -> None:
    """Checks the text as `locus serve` would, then puts it in place at once or not at all."""
    from gateway.config.portfolio_file import load_portfolio

    folder = Path(tempfile.gettempdir()) if out is None else out.parent
    handle, name = tempfile.mkstemp(dir=folder, prefix=".portfolio-", suffix=".yaml")  # readable by its owner alone
    draft = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(imported.text)
            file.flush()
            os.fsync(file.fileno())
        load_portfolio(draft, _Assumed(), writes=False)
        if out is None:
            click.echo(imported.text, nl=False)
            return
        if not imported.literal_secrets:
            mask = os.umask(0)
            os.umask(mask)
            draft.chmod(0o666 & ~mask)
        if force:
            draft.replace(out.resolve())
        else:
            try:
                os.link(draft, out)  # unlike a rename it never replaces what came into being meanwhile
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)


def _report(imported: "Imported", config: Path) -> None:
    for kind, heading in _HEADINGS.items():
        lines = [finding for finding in imported.findings if finding.kind == kind]
        if lines:
            click.secho(heading, bold=True, err=True)
        for finding in lines:
            tell(f"  {finding}")
    missing = [name for name in imported.variables if not os.environ.get(name)]
    if missing:
        warn(f"not set in this environment: {', '.join(missing)}")
    click.echo(
        f"{config}: {imported.models} of its models in {imported.deployments} deployments; "
        f"`auto` chooses among {imported.embedded}",
        err=True,
    )


def _fail(problems: list[str], where: str) -> None:
    for problem in problems:
        tell(problem, fg="red")
    plural = "problem" if len(problems) == 1 else "problems"
    raise click.ClickException(f"{len(problems)} {plural} {where}")
