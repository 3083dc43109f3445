"""Puts a changed portfolio file in force without a restart: on SIGHUP, and when the file changes on disk.

A file that cannot be used changes nothing: it is reported once, and the portfolio in force stays. One that is being written is
not read: only what has not changed from one look to the next is.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from functools import partial
from pathlib import Path

from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.core.safe_logging import log_defect
from router.errors import RouterError

log = logging.getLogger("locus.reload")

READ_S = 10.0  # longest time that reading and checking a file may take
GAP_S = 0.5  # least time between two looks, however often a reload is asked for
SWITCH_S = 0.0005  # so long the reading thread may hold the interpreter while requests wait for it

Fingerprint = tuple[int, int, int] | None


class Reloader:
    """Watches one file. Use as an async context manager.

    Args:
        apply: puts a portfolio in force, told what file it is from; its PortfolioError or RouterError means that the file cannot
            be used either.
        report: told what is wrong with the file, or None once it is in force.
        interval_s: how often the file is looked at.
        seen: of the file that is in force; by default, as it is now.
        read_s: longest time that reading the file may take, seconds.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        apply: Callable[[Portfolio, Fingerprint], Awaitable[None]],
        report: Callable[[str | None], None],
        interval_s: float = 1.0,
        seen: Fingerprint = None,
        read_s: float = READ_S,
    ) -> None:
        self._path = path
        self._environment = environment
        self._apply = apply
        self._report = report
        self._interval_s = interval_s
        self._seen = fingerprint(path) if seen is None else seen
        self._read_s = read_s
        self._last_look = self._seen
        self._asked = asyncio.Event()
        self._waiting = False  # a reload was asked for, and the file was just changing
        self._reading = False
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
        gap_s = min(GAP_S, self._interval_s)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s - gap_s):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            await self.look(asked=asked)
            await asyncio.sleep(gap_s)

    async def look(self, *, asked: bool = False) -> None:
        """Looks at the file once, and reads it where it has changed and is settled.

        Args:
            asked: it shall be read whether or not it has changed.
        """
        now, before = fingerprint(self._path), self._last_look
        self._last_look = now
        asked = asked or self._waiting
        if now is None:
            if not asked:  # an editor may take a moment between removing and renaming
                return
        elif now != self._seen and now != before:
            self._waiting = asked
            return
        elif now == self._seen and not asked:
            return
        self._waiting = False
        await self._reload(now)

    async def _reload(self, now: Fingerprint) -> None:
        try:
            portfolio = await self._read()
            if fingerprint(self._path) != now:
                return  # it changed while it was read; the next look sees that
            self._seen = now
            await self._apply(portfolio, now)
        except (PortfolioError, RouterError) as exc:
            self._seen = now
            problems = "; ".join(str(exc).splitlines())
            log.error("the portfolio in force stays, since the changed file cannot be used: %s", problems)
            self._report(str(exc))
        except Exception as exc:  # a defect; its text may hold values of the file, so only its kind and place are told
            self._seen = now
            log_defect(log, "the portfolio in force stays, since reading the changed file failed", exc)
            self._report(f"unexpected {type(exc).__name__}; the log says where")
        else:
            for warning in portfolio.warnings:
                log.warning("%s", warning)
            self._report(None)

    async def _read(self) -> Portfolio:
        """Reads and checks the file in a thread, so that requests go on meanwhile.

        Raises:
            PortfolioError: it cannot be used, or takes too long.
        """
        if self._reading:
            raise PortfolioError([f"{self._path}: still being read since an earlier change"])
        done: Future[Portfolio] = Future()

        def read() -> None:
            give: Callable[[], None]
            try:
                portfolio = load_portfolio(self._path, self._environment)
                give = partial(done.set_result, portfolio)
            except Exception as exc:
                give = partial(done.set_exception, exc)
            self._reading = False
            with contextlib.suppress(InvalidStateError):  # it took too long, and is no longer waited for
                give()

        # A daemon: a file system that hangs must not keep the process from ending.
        thread = threading.Thread(target=read, name="reload", daemon=True)
        self._reading = True
        with _short_turns():
            thread.start()
            try:
                async with asyncio.timeout(self._read_s):
                    return await asyncio.wrap_future(done)
            except TimeoutError as exc:
                raise PortfolioError([f"{self._path}: not read within {self._read_s:g} s"]) from exc


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Lets threads take turns more often than Python's 5 ms: the event loop waits for a turn each time it wakes up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def fingerprint(path: Path) -> Fingerprint:
    """What changes when a file is written or replaced; None while it is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
