"""What `make run` serves: config/portfolio.yaml where a key is set or a local server listens, else the demo, told first."""

import asyncio
import os
from pathlib import Path

from gateway.commands.demo_portfolio import reachable
from gateway.commands.main import main
from gateway.commands.notices import tell
from gateway.commands.serve import default_config
from gateway.config.portfolio_file import PortfolioError, load_portfolio


def arguments(config: Path) -> list[str]:
    """Those of `locus` for a portfolio file that may or may not have models to call."""
    try:
        found = asyncio.run(reachable(load_portfolio(config, os.environ)))
    except PortfolioError:
        found = True  # `locus serve` says what is wrong with it
    if found:
        return ["serve", "--config", str(config)]
    tell(
        f"DEMO: no key that {config} names is set, and no local model server listens. Simulated models answer, no answer is "
        "real: locus serve --demo",
        bold=True,
    )
    return ["serve", "--demo"]


if __name__ == "__main__":
    main(arguments(default_config()), prog_name="locus")
