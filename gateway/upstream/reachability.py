"""Which deployments accept connections: looked at when they come into force, and again and again while they do not.

A deployment whose server does not listen cools down, with the reason, until it does: so the gateway can start before a model
server of its machine has started, and uses it within seconds once it has. No request is sent, only a connection opened.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.provider_errors.failures import Cause
from gateway.upstream.connection_failure import why_unreachable
from gateway.upstream.proxy import Proxies

log = logging.getLogger("locus.reachability")

INTERVAL_S = 2.0
CONNECT_S = 1.0
AT_ONCE = 50  # connections that are opened at the same time
_PORTS = {"https": 443}

Address = tuple[str, int]


class Reachability:
    """Looks at the deployments in force. Use as an async context manager, which has looked once when it is entered.

    Args:
        deployments: gives the one in force.
        proxies: through which some are called: then it is the proxy that must accept connections.
        level: of the log, for what is told; several processes tell the same.
    """

    def __init__(
        self,
        deployments: Callable[[], LiveDeployments],
        clock: Clock,
        proxies: Proxies,
        interval_s: float = INTERVAL_S,
        level: int = logging.WARNING,
    ) -> None:
        self._deployments = deployments
        self._clock = clock
        self._proxies = proxies
        self._interval_s = interval_s
        self._level = level
        self._known: frozenset[LiveDeployment] = frozenset()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Reachability":
        await self.look()
        self._task = asyncio.create_task(self._watch(), name="reachability")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def look(self) -> None:
        """Opens a connection to each deployment that is new, silent, or failed to be reached by requests."""
        lives = frozenset(live for model in self._deployments().all_models() for live in model.deployments)
        asked: dict[Address, list[LiveDeployment]] = {}
        for live in lives:
            at = None if live.spec.missing_key is not None else self._address(live)
            if at is not None and (live not in self._known or live.unreachable is not None or _cut_off(live)):
                asked.setdefault(at, []).append(live)
        self._known = lives
        turn = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(_connect(at, turn) for at in asked))
        for (at, answer), deployments in zip(zip(asked, answers, strict=True), asked.values(), strict=True):
            if answer is None:
                self._answers(at, deployments)
            else:
                self._does_not_answer(at, deployments, answer)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.look()

    def _answers(self, at: Address, deployments: Iterable[LiveDeployment]) -> None:
        back = [live for live in deployments if live.unreachable is not None]
        for live in back:
            live.unreachable = None
            if not live.breaker.taken_out:
                live.breaker.success()
        if back:
            log.log(min(self._level, logging.INFO), "%s accepts connections now: %s", _written(at), _names(back))

    def _does_not_answer(self, at: Address, deployments: Iterable[LiveDeployment], reason: str) -> None:
        new = [live for live in deployments if live.unreachable != reason]
        for live in deployments:
            live.unreachable = reason
            if not live.breaker.taken_out:
                live.breaker.failure(self._clock(), reason, 2 * self._interval_s + CONNECT_S)
        if new:
            log.log(
                self._level,
                "%s: %s; looked at again every %g s, and used as soon as it accepts connections: %s",
                _written(at),
                reason,
                self._interval_s,
                _names(new),
            )

    def _address(self, live: LiveDeployment) -> Address | None:
        base = live.spec.native_base or live.spec.api_base
        if base is None:  # litellm alone knows it
            return None
        proxy = self._proxies.of(base)
        return address(base if proxy is None else proxy.url)


def address(url: str) -> Address:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


async def why_silent(at: Address) -> str | None:
    """Why nothing accepts connections at an address; None where something does."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(*at)
    except TimeoutError:
        return f"no connection within {CONNECT_S:g} s"
    except UnicodeError:  # no name that IDNA can write
        return "unknown host name"
    except OSError as exc:
        return why_unreachable(exc)
    writer.close()
    return None


async def _connect(at: Address, turn: asyncio.Semaphore) -> str | None:
    async with turn:
        return await why_silent(at)


def _cut_off(live: LiveDeployment) -> bool:
    """Whether requests fail to reach it."""
    return live.breaker.open_until is not None and live.breaker.reason == Cause.CONNECTION.value


def _written(at: Address) -> str:
    return f"[{at[0]}]:{at[1]}" if ":" in at[0] else f"{at[0]}:{at[1]}"


def _names(deployments: Iterable[LiveDeployment]) -> str:
    return ", ".join(sorted(live.spec.id for live in deployments))
