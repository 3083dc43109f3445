"""`locus check`: reports the errors of a portfolio file, or shows its models."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from gateway.commands.notices import problems_found, warn
from gateway.commands.portfolio_path import portfolio_path
from gateway.commands.portfolio_writer import schema_text
from gateway.config.deployment_reader import UNKNOWN_ADDRESS
from gateway.config.portfolio import Model, Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.price import Price
from router.commands.terminal import console
from router.model.model_families import RANKS

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.routing.model_embeddings import FoundEmbedding

_RATES = {
    "input": "in",
    "output": "out",
    "cached_input": "cached",
    "cache_write": "cache write",
    "cache_write_1h": "cache write for 1 h",
    "reasoning": "reasoning",
    "audio_input": "audio in",
    "audio_output": "audio out",
}
_PATH_WORDS = frozenset({"", "v1", "v2", "v3", "api", "beta", "inference", "openai"})


@click.command()
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of portfolio files instead.")
def check(config: Path | None, schema: bool) -> None:
    """Check a portfolio file and show its models.

    Without CONFIG it checks the file that `locus serve` finds.
    """
    if schema:
        click.echo(schema_text(), nl=False)
        return
    path = portfolio_path(config)
    try:
        portfolio = load_portfolio(path, os.environ)
        embeddings, problems = _embeddings(portfolio)
    except PortfolioError as exc:
        problems = exc.problems
    if problems:
        raise problems_found(problems, f"in {path}")
    _show(portfolio, embeddings)
    for warning in portfolio.warnings:
        warn(warning)


def _embeddings(portfolio: Portfolio) -> tuple[list["FoundEmbedding"], list[str]]:
    """Returns what each model is in the model space, and the problems of the checkpoint and its spaces.

    It is a problem if they cannot be loaded, or lack an embedding that the portfolio names.
    """
    from gateway.routing.model_embeddings import find_embedding, missing_embeddings
    from router.errors import RouterError
    from router.model.serving import Router

    try:
        router = Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)
    except RouterError as exc:
        return [], [str(exc)]
    problems = missing_embeddings(portfolio, router.space)
    return ([] if problems else [find_embedding(model, router.space) for model in portfolio.models]), problems


def _show(portfolio: Portfolio, embeddings: Sequence["FoundEmbedding"]) -> None:
    """Prints each model with its facts, and its deployments below it."""
    from rich.markup import escape

    screen = console()
    for model, found in zip(portfolio.models, embeddings, strict=True):
        can = ", ".join(sorted(model.capabilities)) or "text only"
        _line(screen, f"[bold]{escape(model.name)}[/]  {_embedding(found)}", 4)
        _line(screen, f"    {_price(model.price)}; {model.context_window} tokens; {can}", 4)
        _show_deployments(screen, model)
    for model in portfolio.embedding_models:
        size = "" if model.dimensions is None else f"; {model.dimensions} dimensions"
        _line(screen, f"[bold]{escape(model.name)}[/]  embedding model", 4)
        _line(screen, f"    {_price(model.price)}; {model.context_window} tokens{size}", 4)
        _show_deployments(screen, model)
    policies = ", ".join(
        f"{name}{' (default)' if name == portfolio.default_policy else ''}" for name in portfolio.policies
    )
    _line(screen, escape(f"policies: {policies}"), 4)


def _embedding(found: "FoundEmbedding") -> str:
    """The name in the model space, what it was found by, and the variants that requests can choose; as rich's markup."""
    from rich.markup import escape

    if found.family is None:
        return f"[yellow]only served when named: {escape(found.why_none)}[/]"
    notes = [] if found.known_as is None else [f"known by {found.known_as}"]
    if found.family.older:
        notes.append(f"the newest; the space also has {', '.join(found.family.older)}")
    settings = sorted((s for s in found.family.variants if s is not None), key=lambda s: (RANKS[s], s))
    if found.fixed:
        notes.append(f"reasoning is set to {found.setting}")
    elif settings:
        notes.append(f"requests choose reasoning: {', '.join(settings)}")
    return escape(f"{found.name}  ({'; '.join(notes)})" if notes else f"{found.name}")


def _show_deployments(screen: "Console", model: Model) -> None:
    from rich.markup import escape

    for deployment in model.deployments:
        where = escape(_address(deployment.api_base) or f"through {deployment.path}")
        where = "no address" if deployment.api_base == UNKNOWN_ADDRESS else where
        key = "key set" if deployment.api_key else "no key needed"
        key = f"[yellow]{escape(deployment.missing_key)} not set[/]" if deployment.missing_key else key
        price = "" if deployment.price == model.price else f"  {_price(deployment.price)}"
        _line(screen, f"    - {escape(deployment.upstream_model)}  {where}  {key}{price}", 6)


def _price(price: Price | None) -> str:
    """The rates that differ from those of the prompt and the answer, and those of long prompts; as rich's markup."""
    if price is None:
        return "[yellow]price not known[/]"
    stated = price.stated
    if stated["input"] and not stated["output"]:  # of an embedding model
        del stated["output"]
    tiers = [f"above {tier.pop('above')} tokens {_rates(tier)}" for tier in stated.pop("tiers", ())]
    return "; ".join([f"{_rates(stated)} USD/Mtok", *tiers])


def _rates(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{rate:g} {_RATES[kind]}" for kind, rate in rates.items())


def _line(screen: "Console", markup: str, indent: int) -> None:
    """Prints a line. On a terminal it is wrapped, and its other lines are indented; elsewhere it stays one line."""
    from rich.text import Text

    text = Text.from_markup(markup)
    lines = list(text.wrap(screen, max(screen.width - indent, 20))) if screen.is_terminal else [text]
    for number, line in enumerate(lines):
        line.rstrip()
        screen.print(Text(" " * indent).append_text(line) if number else line, soft_wrap=True)


def _address(api_base: str | None) -> str | None:
    """Returns an address without the parts that may hold a key: a query, or a path with unusual words."""
    if api_base is None:
        return None
    parts = urlsplit(api_base)
    path = parts.path if set(parts.path.strip("/").split("/")) <= _PATH_WORDS and not parts.query else "/…"
    return f"{parts.scheme}://{parts.netloc}{path}"
