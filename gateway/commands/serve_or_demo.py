"""The command behind `make run`: serves the portfolio file if one of its models can be called, or else the demo.

A model can be called if its key is set, or if a server on this machine listens at its address.
"""

import asyncio
import os
from pathlib import Path

from gateway.commands.demo_portfolio import reachable
from gateway.commands.main import main
from gateway.commands.notices import notify
from gateway.commands.portfolio_path import find_portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio


def arguments(config: Path) -> list[str]:
    """Returns the arguments of `locus` that serve this portfolio file or the demo; prints a notice if it is the demo."""
    try:
        callable_models = asyncio.run(reachable(load_portfolio(config, os.environ)))
    except PortfolioError:
        callable_models = True  # `locus serve` reports what is wrong with the file
    if callable_models:
        return ["serve", "--config", str(config)]
    notify(
        f"DEMO: no key that {config} names is set, and no local model server listens. Simulated models answer, no answer is "
        "real: locus serve --demo",
        bold=True,
    )
    return ["serve", "--demo"]


if __name__ == "__main__":
    found = find_portfolio()
    main(["serve", "--demo"] if found is None else arguments(found), prog_name="locus")
