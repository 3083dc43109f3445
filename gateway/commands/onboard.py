"""`locus onboard`: asks models the probes of a bank, so that `auto` knows what they can do."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.commands.database import read_portfolio
from gateway.commands.notices import INTERRUPTED
from gateway.config.onboarding import MOST_PROBES, OnboardEntry

if TYPE_CHECKING:
    from gateway.config.portfolio import Model


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "every", is_flag=True, help="All models that need it; with --again all models.")
@click.option("--probes", type=click.IntRange(8, MOST_PROBES), help="Most probes for each model.  [default: 64]")
@click.option("--usd", type=click.FloatRange(0, min_open=True), help="Most USD for each model.  [default: 2]")
@click.option(
    "--target-error",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Stop at this mean standard error of P(correct).",
)
@click.option("--then", type=click.Choice(["limited", "live"]), help="State afterwards.  [default: limited]")
@click.option("--bank", help="A JSONL or CSV file of probes.  [default: the shipped bank]")
@click.option("--judge", help="Model that grades answers to probes with the checker judge.")
@click.option(
    "--unpriced", type=click.Choice(["refuse", "free"]), help="Where a price is not known.  [default: refuse]"
)
@click.option("--parallel", type=click.IntRange(1, 64), help="Most probes at once.  [default: 4]")
@click.option("--again", is_flag=True, help="Ask again what was asked before.")
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file.")
def onboard(models: tuple[str, ...], every: bool, again: bool, config: Path | None, **given: Any) -> None:
    """Ask models the probes of a bank, and place them in the model space.

    No probe is asked that could cost more than what is left of --usd. Ctrl-C loses nothing: the same command goes on. If a
    gateway uses the database, it asks, so that the limits of deployments hold; else this command does.
    """
    from gateway.commands.onboarding_run import OnboardingRun
    from gateway.core.errors import GatewayError
    from gateway.store.database import DatabaseUnavailable
    from router.errors import RouterError

    portfolio = read_portfolio(config)
    if every == bool(models):
        raise click.UsageError("Name models, or give --all.")
    known = {model.name: model for model in portfolio.models}
    if unknown := [name for name in models if name not in known]:
        raise click.ClickException(f"the portfolio has no chat model {', '.join(unknown)}; it has {', '.join(known)}")
    if given["judge"] is not None and given["judge"] not in known:
        text = f"there is no model {given['judge']!r}; there are {', '.join(known)}"
        raise click.BadParameter(text, param_hint="--judge")
    run = OnboardingRun(portfolio, lambda model: options_of(model, given), again=again)
    try:
        jobs = asyncio.run(run.run(list(dict.fromkeys(models)) or None))
    except KeyboardInterrupt:  # before the probes are asked, or while the report is made
        sys.exit(INTERRUPTED)
    except (GatewayError, RouterError, DatabaseUnavailable) as exc:
        raise click.ClickException(str(exc)) from exc
    if any(job.state not in ("done", "failed") for job in jobs):
        sys.exit(INTERRUPTED)
    if any(job.state == "failed" for job in jobs):
        sys.exit(1)


def options_of(model: "Model", given: Mapping[str, Any]) -> OnboardEntry:
    """The options of the command line, then those of the portfolio file, then the defaults.

    Args:
        given: on the command line; None where an option is not.
    """
    own = OnboardEntry.fields_of(model.onboard, {name: value for name, value in given.items() if value is not None})
    bank = own.get("bank")
    if bank is not None and os.path.exists(bank):
        own["bank"] = os.path.abspath(bank)  # a gateway has another working directory
    return OnboardEntry.model_validate(own)
