"""`locus check`: reports the errors of a portfolio file, or shows its models."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click

from gateway.commands.notices import problems_found, warn
from gateway.commands.portfolio_path import portfolio_path
from gateway.commands.portfolio_writer import schema_text
from gateway.config.deployment_reader import UNKNOWN_ADDRESS
from gateway.config.known_as import CUSTOM
from gateway.config.litellm_table import deprecation_date
from gateway.config.portfolio import Model, Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.price import Price
from gateway.core.printable import printable
from router.commands.terminal import console
from router.model.model_families import RANKS

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.routing.model_embeddings import FoundEmbedding
    from gateway.routing.standing import Standing
    from gateway.upstream.model_listing import Found

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
@click.option(
    "--live", is_flag=True, help="Ask each server for its models: does it answer, accept the key, have the model?"
)
def check(config: Path | None, schema: bool, live: bool) -> None:
    """Check a portfolio file and show its models.

    Without CONFIG it checks the file that `locus serve` finds. With --live no call costs anything, and the exit status is 1 if a
    deployment with a key cannot be called, or no model at all.
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
    found = asyncio.run(_find_models(portfolio)) if live else {}
    _show(portfolio, embeddings, found)
    if needed := sum(one.needs_onboarding for one in embeddings):
        models = "1 model has" if needed == 1 else f"{needed} models have"
        click.echo(
            f"{models} no evaluations yet: `locus onboard --all` asks questions, so that `auto` knows what to expect",
            err=True,
        )
    for warning in portfolio.warnings:
        warn(warning)
    usable = [model for model in portfolio.models if _is_usable(model, found)]
    if live and (not usable or any(one.state == "failed" for one in found.values())):
        raise click.exceptions.Exit(1)


async def _find_models(portfolio: Portfolio) -> dict[str, "Found"]:
    from gateway.upstream.model_listing import find_models
    from gateway.upstream.proxy import Proxies

    models = (*portfolio.models, *portfolio.embedding_models)
    return await find_models([one for model in models for one in model.deployments], Proxies(os.environ))


def _is_usable(model: Model, found: Mapping[str, "Found"]) -> bool:
    """Return True if a deployment of the model has its key and, if servers were asked, did not fail."""
    return any(
        one.missing_key is None and (one.id not in found or found[one.id].state != "failed")
        for one in model.deployments
    )


class _Known(NamedTuple):
    """What a model is in the model space, and how it stands there."""

    found: "FoundEmbedding"
    standing: "Standing"
    needs_onboarding: bool

    @property
    def routed(self) -> bool:
        """`auto` may choose it."""
        embedded = self.found.family is not None or self.standing.version is not None
        return (embedded or self.standing.relative is not None) and not self.standing.never_chosen


def _embeddings(portfolio: Portfolio) -> tuple[list[_Known], list[str]]:
    """Returns what each model is in the model space, and the problems of the checkpoint and its spaces.

    It is a problem if they cannot be loaded, or lack an embedding that the portfolio names.
    """
    from gateway.commands.database import models_in_use
    from gateway.onboarding.need import models_that_need_it
    from gateway.routing.placed_models import placed_models
    from router.errors import ArtifactError, RouterError
    from router.model.serving import Router

    try:
        router = Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)
    except RouterError as exc:
        return [], [str(exc)]
    try:
        placed = placed_models(portfolio, router, models_in_use(portfolio.settings))
    except ArtifactError as exc:
        return [], str(exc).splitlines()
    needed = models_that_need_it(portfolio, placed)
    known = [
        _Known(placed.found[model.name], placed.standings[model.name], model.name in needed)
        for model in portfolio.models
    ]
    return known, []


def _show(portfolio: Portfolio, embeddings: Sequence[_Known], found: Mapping[str, "Found"]) -> None:
    """Prints each model with its facts, and its deployments below it; at the end how many can be used."""
    from rich.markup import escape

    screen = console()
    for model, embedding in zip(portfolio.models, embeddings, strict=True):
        can = ", ".join(sorted(model.capabilities)) or "text only"
        _line(screen, f"[bold]{escape(model.name)}[/]  {_embedding(embedding)}", 4)
        _line(screen, f"    {_price(model.price)}; {model.context_window} tokens; {can}", 4)
        _show_deployments(screen, model, found)
    for model in portfolio.embedding_models:
        size = "" if model.dimensions is None else f"; {model.dimensions} dimensions"
        _line(screen, f"[bold]{escape(model.name)}[/]  embedding model", 4)
        _line(screen, f"    {_price(model.price)}; {model.context_window} tokens{size}", 4)
        _show_deployments(screen, model, found)
    _line(screen, escape(f"policies: {', '.join(_policy(portfolio, name) for name in portfolio.policies)}"), 4)
    usable = [_is_usable(model, found) for model in portfolio.models]
    known = sum(use and one.routed for use, one in zip(usable, embeddings, strict=True))
    models = "1 model" if len(usable) == 1 else f"{len(usable)} models"
    _line(screen, f"[bold]{models}, {sum(usable)} usable, auto chooses among {known}[/]", 4)


def _policy(portfolio: Portfolio, name: str) -> str:
    """`panel (default, up to 3 models answer together)`."""
    notes = ["default"] if name == portfolio.default_policy else []
    if (ensemble := portfolio.ensembles.get(name)) is not None:
        notes.append(f"up to {ensemble.size} models answer together")
    return f"{name} ({', '.join(notes)})" if notes else name


def _embedding(known: _Known) -> str:
    """The name in the model space, what it was found by, and the variants that requests can choose; as rich's markup."""
    from rich.markup import escape

    found, standing = known.found, known.standing
    state = f"  [yellow]{escape(standing.why)}[/]" if standing.why else ""
    if standing.version is not None:
        name = "" if found.name is None else f"{found.name}, "
        return escape(f"{name}version {standing.version} of its own evaluations") + state
    if standing.relative is not None:
        return f"[yellow]≈{escape(standing.relative)}[/]  (its nearest relative: {escape(found.why_none)}){state}"
    if found.family is None:
        return f"[yellow]only served when named: {escape(found.why_none)}[/]"
    notes = [] if found.known_as is None else [f"known by {found.known_as.removeprefix(CUSTOM)}"]
    if found.family.older:
        notes.append(f"the newest; the space also has {', '.join(found.family.older)}")
    settings = sorted((s for s in found.family.variants if s is not None), key=lambda s: (RANKS[s], s))
    if found.fixed:
        notes.append(f"reasoning is set to {found.setting}")
    elif settings:
        notes.append(f"requests choose reasoning: {', '.join(settings)}")
    return escape(f"{found.name}  ({'; '.join(notes)})" if notes else f"{found.name}") + state


def _show_deployments(screen: "Console", model: Model, found: Mapping[str, "Found"]) -> None:
    from rich.markup import escape

    for deployment in model.deployments:
        where = escape(_address(deployment.api_base) or f"through {deployment.path}")
        where = "no address" if deployment.api_base == UNKNOWN_ADDRESS else where
        key = "key set" if deployment.api_key else "no key needed"
        key = f"[yellow]{escape(deployment.missing_key)} not set[/]" if deployment.missing_key else key
        price = "" if deployment.price == model.price else f"  {_price(deployment.price)}"
        more = _deprecation(deployment.known_as, date.today()) + _live(found.get(deployment.id))
        _line(screen, f"    - {escape(deployment.upstream_model)}  {where}  {key}{price}{more}", 6)


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


def _deprecation(name: str, today: date) -> str:
    """Since or from when the provider may refuse the model, as rich's markup; empty if that is not known."""
    day = deprecation_date(name)
    if day is None:
        return ""
    return f"  [red]deprecated since {day}[/]" if day <= today else f"  [yellow]deprecated from {day}[/]"


def _live(found: "Found | None") -> str:
    """What the server said, as rich's markup; empty if it was not asked."""
    from rich.markup import escape

    if found is None:
        return ""
    color = {"ok": "green", "failed": "red", "unknown": "yellow"}[found.state]
    parts = ["ok"] if found.state == "ok" else []
    parts += [found.words] if found.words else []
    parts += [f"{found.latency_ms:.0f} ms"] if found.latency_ms is not None else []
    return f"  [{color}]{escape(printable(', '.join(parts)))}[/]"


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
