"""Puts a changed portfolio file in force without a restart: on SIGHUP, and when the file changes on disk.

A file that cannot be used changes nothing: it is reported once, and the portfolio in force stays.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from gateway.defects import log_defect
from gateway.portfolio import Portfolio
from gateway.portfolio_file import PortfolioError, load_portfolio
from router.errors import RouterError

log = logging.getLogger("locus.reload")

Fingerprint = tuple[int, int, int] | None


class Reloader:
    """Watches one file. Use as an async context manager.

    Args:
        apply: puts a portfolio in force; its RouterError means that the file cannot be used either.
        report: told what is wrong with the file, or None once it is in force.
        interval_s: how often the file is looked at.
        seen: of the file that is in force; by default, as it is now.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        apply: Callable[[Portfolio], Awaitable[None]],
        report: Callable[[str | None], None],
        interval_s: float = 1.0,
        seen: Fingerprint = None,
    ) -> None:
        self._path = path
        self._environment = environment
        self._apply = apply
        self._report = report
        self._interval_s = interval_s
        self._seen = fingerprint(path) if seen is None else seen
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Reloader":
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.ask)
        self._task = asyncio.create_task(self._watch(), name="reloader")
        return self

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def ask(self) -> None:
        """Reads the file soon, changed or not."""
        self._asked.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._asked.wait()
            except TimeoutError:
                now = fingerprint(self._path)
                if now == self._seen or now is None:  # an editor may take a moment between removing and renaming
                    continue
            self._asked.clear()
            self._seen = fingerprint(self._path)
            await self._reload()

    async def _reload(self) -> None:
        try:
            portfolio = load_portfolio(self._path, self._environment)
            await self._apply(portfolio)
        except (PortfolioError, RouterError) as exc:
            log.error("the portfolio in force stays, since the changed file cannot be used:\n%s", exc)
            self._report(str(exc))
        except Exception as exc:  # a defect; its text may hold values of the file, so only its kind and place are told
            log_defect(log, "the portfolio in force stays, since reading the changed file failed", exc)
            self._report(f"unexpected {type(exc).__name__}; the log says where")
        else:
            for warning in portfolio.warnings:
                log.warning("%s", warning)
            self._report(None)


def fingerprint(path: Path) -> Fingerprint:
    """What changes when a file is written or replaced; None while it is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
