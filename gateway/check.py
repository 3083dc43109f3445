"""`locus check`: is a portfolio file usable, and what is in it?"""

import os
from pathlib import Path

import click

from gateway.portfolio import Portfolio
from gateway.portfolio_file import PortfolioError, json_schema, load_portfolio


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
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("model", "embedding", "deployment", "path", "key", "USD/Mtok in, out", "context", "can"):
        table.add_column(header, overflow="fold")
    for model in portfolio.models:
        for i, deployment in enumerate(model.deployments):
            key = "set" if deployment.api_key else "none needed"
            shared = (
                f"{model.price.usd_per_mtok_in:g}, {model.price.usd_per_mtok_out:g}",
                str(model.context_window),
                ", ".join(sorted(model.capabilities)) or "-",
            )
            table.add_row(
                escape(model.name) if i == 0 else "",
                (escape(model.embedding) if model.embedding else "[yellow]none[/]") if i == 0 else "",
                escape(deployment.upstream_model),
                escape(deployment.api_base or deployment.path),
                f"[yellow]{deployment.missing_key} not set[/]" if deployment.missing_key else key,
                *(shared if i == 0 else ("", "", "")),
            )
    console = Console()
    console.print(table)
    policies = ", ".join(
        f"{name}{' (default)' if name == portfolio.default_policy else ''}" for name in portfolio.policies
    )
    console.print(f"policies: {policies}", markup=False)
