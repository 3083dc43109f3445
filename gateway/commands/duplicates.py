"""`locus duplicates`, and with `--live` the comparison of deployments by their answers."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.commands.portfolio_path import portfolio_path
from gateway.config.onboarding import SHIPPED_BANK
from gateway.core.printable import printable
from router.commands.space import duplicates as of_space
from router.commands.terminal import console, progress_bar

if TYPE_CHECKING:
    from gateway.config.portfolio import Portfolio
    from gateway.drift.live_duplicates import Compared


def duplicates(**options: Any) -> None:
    """List pairs of models that are nearer to each other than distinct models are; with --live, compare deployments by their
    answers.

    Without --live, a distance is compared with the model's neighbourhood: the probability that one of its five nearest neighbours
    is so near by chance, given the intrinsic dimension of the space. With the default, at most one of twenty spaces without
    duplicates lists a pair.

    With --live, deployments of one model are compared with each other, and each model with the nearest other one of the
    portfolio: both answer the same probes, within --usd.
    """
    live, probes, usd, bank = (options.pop(name) for name in ("live", "probes", "usd", "bank"))
    if not live:
        context = click.get_current_context()
        context.invoke(of_space, **options)
        return
    if options["threshold"] is not None or options["space"] is not None:
        raise click.UsageError("--threshold and --space are about the model space, not about --live.")
    from gateway.core.errors import GatewayError
    from router.errors import RouterError

    try:
        found = asyncio.run(_compare(_portfolio(options["config"]), probes, usd, bank))
    except (GatewayError, RouterError) as exc:
        raise click.ClickException(str(exc)) from exc
    if options["as_json"]:
        click.echo(orjson.dumps([one.fields() for one in found]).decode())
    else:
        _print(found)


_LIVE: Sequence[click.Parameter] = [
    click.Option(["--live"], is_flag=True, help="Ask deployments the same probes, and compare their answers."),
    click.Option(
        ["--probes"],
        type=click.IntRange(8, 512),
        default=32,
        show_default=True,
        help="For each comparison; with --live.",
    ),
    click.Option(
        ["--usd"],
        type=click.FloatRange(0, min_open=True),
        default=1.0,
        show_default=True,
        help="Most USD; with --live.",
    ),
    click.Option(["--bank"], default=SHIPPED_BANK, show_default=True, help="A JSONL or CSV file; with --live."),
]
command = click.Command("duplicates", params=[*of_space.params, *_LIVE], callback=duplicates, help=duplicates.__doc__)


def _portfolio(config: Path | None) -> "Portfolio":
    from gateway.config.portfolio_file import PortfolioError, load_portfolio

    try:
        return load_portfolio(portfolio_path(config), os.environ)
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc


async def _compare(portfolio: "Portfolio", count: int, usd: float, bank: str) -> "list[Compared]":
    from gateway.drift.asker import Asker
    from gateway.drift.baseline import CANDIDATES
    from gateway.drift.live_duplicates import LiveDuplicates
    from gateway.http.onboarding import probe_calls
    from gateway.http.service import open_service
    from gateway.onboarding.budget import Budget
    from gateway.upstream.proxy import Proxies
    from router.probes.probe import load_bank

    loaded = await asyncio.to_thread(load_bank, bank)
    probes = [probe for probe in loaded.probes if probe.checker.type != "judge"]
    async with open_service(portfolio, proxies=Proxies(os.environ)) as service:
        service.failover.upstreams.prepare(service.in_force.portfolio)
        ask = Asker(probe_calls(service), Budget(usd), "--usd", set()).ask
        compared = LiveDuplicates(service.in_force.router, probes, ask, count)
        pairs = list(compared.pairs(list(service.in_force.deployments.models.values())))
        if not pairs:
            raise click.ClickException("the portfolio has no two deployments to compare")
        asks = sum(round(CANDIDATES * count) + count * (1 + len(others)) for _, others in pairs)
        found, done = [], 0
        with progress_bar("probes", asks) as advance:

            def asked() -> None:
                nonlocal done
                done += 1
                advance(done, "")

            compared.asked = asked
            for model, others in pairs:
                found += await compared.compare(model, others)
        return found


def _print(found: "Sequence[Compared]") -> None:
    from rich.markup import escape

    screen = console()
    for one in sorted(found, key=lambda one: (one.verdict != "same", one.verdict != "different")):
        screen.print(escape(_sentence(one)), soft_wrap=not screen.is_terminal)


def _sentence(one: "Compared") -> str:
    first, second = map(printable, one.deployments)
    if one.agreement is None:
        return f"{first} and {second}: not compared: {printable(one.reason)}"
    agreed = f"{one.agreement.probes - one.agreement.differing} of {one.agreement.probes} probes with the same outcome"
    if one.models[0] == one.models[1]:
        words = {
            "same": "serve one model",
            "different": f"do not agree, although both should serve {printable(one.models[0])}",
        }
    else:
        words = {"same": f"seem to be one model{_price(one)}", "different": "are different models"}
    return f"{first} and {second} {words.get(one.verdict, 'are not told apart by these probes')}: {agreed}"


def _price(one: "Compared") -> str:
    """What the cheaper of two deployments costs, relative to the other one."""
    a, b = one.prices
    if a is None or b is None or a.rates.output == b.rates.output:
        return ""
    cheap, dear = sorted((a.rates.output, b.rates.output))
    cheaper = one.deployments[0] if a.rates.output == cheap else one.deployments[1]
    return f", and {printable(cheaper)} costs {cheap / dear:.0%} of the other per output token"
