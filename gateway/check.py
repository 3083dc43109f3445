"""`locus check`: is a portfolio file usable, and what is in it?"""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from gateway.portfolio import Model, Portfolio
from gateway.portfolio_file import PortfolioError, load_portfolio
from gateway.portfolio_schema import json_schema

if TYPE_CHECKING:
    from rich.console import Console

_PATH_WORDS = frozenset({"", "v1", "v2", "v3", "api", "beta", "inference", "openai"})


@click.command()
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of portfolio files instead.")
def check(config: Path | None, schema: bool) -> None:
    """Check the portfolio file CONFIG (default: config/portfolio.yaml) and show what is in it."""
    if schema:
        import json

        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    from gateway.serve import default_config

    path = config or default_config()
    try:
        portfolio = load_portfolio(path, os.environ)
        problems = artifact_problems(portfolio)
    except PortfolioError as exc:
        problems = exc.problems
    if problems:
        for problem in problems:
            click.secho(problem, fg="red", err=True)
        plural = "problem" if len(problems) == 1 else "problems"
        raise click.ClickException(f"{len(problems)} {plural} in {path}")
    _show(portfolio)
    for warning in portfolio.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)


def artifact_problems(portfolio: Portfolio) -> list[str]:
    """What the artefacts say against a portfolio: they cannot be loaded, or lack an embedding that it names."""
    from gateway.service import missing_embeddings
    from router.errors import RouterError
    from router.serving import Router

    try:
        router = Router.load(portfolio.checkpoint, portfolio.spaces)
    except RouterError as exc:
        return [str(exc)]
    return missing_embeddings(portfolio, router.space)


def _show(portfolio: Portfolio) -> None:
    """Each model with what is known of it, and its deployments beneath."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for model in portfolio.models:
        price = f"{model.price.usd_per_mtok_in:g} in, {model.price.usd_per_mtok_out:g} out"
        if model.price.usd_per_mtok_cached != model.price.usd_per_mtok_in:
            price += f", {model.price.usd_per_mtok_cached:g} cached"
        can = ", ".join(sorted(model.capabilities)) or "text only"
        embedding = escape(model.embedding) if model.embedding else "[yellow]no embedding: only served when named[/]"
        console.print(f"[bold]{escape(model.name)}[/]  {embedding}")
        console.print(f"    {price} USD/Mtok; {model.context_window} tokens; {can}")
        _show_deployments(console, model)
    for model in portfolio.embedding_models:
        size = "" if model.dimensions is None else f"; {model.dimensions} dimensions"
        console.print(f"[bold]{escape(model.name)}[/]  embedding model")
        console.print(f"    {model.price.usd_per_mtok_in:g} USD/Mtok; {model.context_window} tokens{size}")
        _show_deployments(console, model)
    policies = ", ".join(
        f"{name}{' (default)' if name == portfolio.default_policy else ''}" for name in portfolio.policies
    )
    console.print(f"policies: {policies}", markup=False)


def _show_deployments(console: "Console", model: Model) -> None:
    from rich.markup import escape

    for deployment in model.deployments:
        where = escape(_address(deployment.api_base) or f"through {deployment.path}")
        key = "key set" if deployment.api_key else "no key needed"
        key = f"[yellow]{deployment.missing_key} not set[/]" if deployment.missing_key else key
        console.print(f"    - {escape(deployment.upstream_model)}  {where}  {key}")


def _address(api_base: str | None) -> str | None:
    """An address without what may be a key: a query, or a path of other than the usual words."""
    if api_base is None:
        return None
    parts = urlsplit(api_base)
    path = parts.path if set(parts.path.strip("/").split("/")) <= _PATH_WORDS and not parts.query else "/…"
    return f"{parts.scheme}://{parts.netloc}{path}"
