"""Puts a changed portfolio file in force without a restart: on SIGHUP, and when the file changes on disk.

An invalid file changes nothing: it is reported once, and the portfolio in force stays. A file that is still being written is not
read: it must be unchanged between two checks.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.core.background import in_daemon_thread
from gateway.core.safe_logging import log_exception
from router.errors import RouterError

log = logging.getLogger("locus.reload")

READ_TIMEOUT_S = 10.0  # for reading and checking a file
MIN_INTERVAL_S = 0.5  # between two checks, even if reloads are requested more often

Fingerprint = tuple[int, int, int] | None


class Reloader:
    """Watches one portfolio file. Use as an async context manager.

    Args:
        apply: puts a portfolio in force, given the fingerprint of its file; if it raises PortfolioError or RouterError, the file
            is reported as invalid.
        report: called with the error in the file, or with None once the file is in force.
        interval_s: between two checks of the file, seconds.
        seen: fingerprint of the file that is in force; by default, of the file as it is now.
        read_timeout_s: for reading the file, seconds.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        apply: Callable[[Portfolio, Fingerprint], Awaitable[None]],
        report: Callable[[str | None], None],
        interval_s: float = 1.0,
        seen: Fingerprint = None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._path = path
        self._environment = environment
        self._apply = apply
        self._report = report
        self._interval_s = interval_s
        self._seen = fingerprint(path) if seen is None else seen
        self._read_timeout_s = read_timeout_s
        self._last_fingerprint = self._seen
        self._requested = asyncio.Event()
        self._requested_while_changing = False
        self._reading = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Reloader":
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.request)
        self._task = asyncio.create_task(self._watch(), name="reloader")
        return self

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def request(self) -> None:
        """Requests that the file is read soon, even if it is unchanged."""
        self._requested.set()

    async def _watch(self) -> None:
        min_interval_s = min(MIN_INTERVAL_S, self._interval_s)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s - min_interval_s):
                    await self._requested.wait()
            requested = self._requested.is_set()
            self._requested.clear()
            await self.check(requested=requested)
            await asyncio.sleep(min_interval_s)

    async def check(self, *, requested: bool = False) -> None:
        """Checks the file once, and reads it if it has changed since it came into force but not since the last check.

        Args:
            requested: read it even if it is unchanged.
        """
        now, before = fingerprint(self._path), self._last_fingerprint
        self._last_fingerprint = now
        requested = requested or self._requested_while_changing
        if now is None:
            if not requested:  # an editor may take a moment between removing and renaming
                return
        elif now != self._seen and now != before:
            self._requested_while_changing = requested
            return
        elif now == self._seen and not requested:
            return
        self._requested_while_changing = False
        await self._reload(now)

    async def _reload(self, now: Fingerprint) -> None:
        try:
            portfolio = await self._read()
            if fingerprint(self._path) != now:
                return  # it changed while it was read; the next check notices that
            self._seen = now
            await self._apply(portfolio, now)
        except (PortfolioError, RouterError) as exc:
            self._seen = now
            problems = "; ".join(str(exc).splitlines())
            log.error("the portfolio in force stays, since the changed file cannot be used: %s", problems)
            self._report(str(exc))
        except Exception as exc:  # a defect; its text may contain values of the file, so only type and place are logged
            self._seen = now
            log_exception(log, "the portfolio in force stays, since reading the changed file failed", exc)
            self._report(f"unexpected {type(exc).__name__}; the log says where")
        else:
            for warning in portfolio.warnings:
                log.warning("%s", warning)
            self._report(None)

    async def _read(self) -> Portfolio:
        """Reads and checks the file in a thread, so that requests are served meanwhile.

        Raises:
            PortfolioError: the file is invalid, or reading it takes too long.
        """
        if self._reading:
            raise PortfolioError([f"{self._path}: still being read since an earlier change"])

        def read() -> Portfolio:
            try:
                return load_portfolio(self._path, self._environment)
            finally:
                self._reading = False

        self._reading = True
        try:
            async with asyncio.timeout(self._read_timeout_s):
                # A daemon thread: a file system that hangs must not keep the process from ending.
                return await asyncio.wrap_future(in_daemon_thread(read, "reload"))
        except TimeoutError as exc:
            raise PortfolioError([f"{self._path}: not read within {self._read_timeout_s:g} s"]) from exc


def fingerprint(path: Path) -> Fingerprint:
    """Values that change when a file is written or replaced; None if it is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
