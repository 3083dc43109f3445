"""Checks that the servers of deployments accept connections: once for a new deployment, and repeatedly while its server does not.

A deployment whose server does not listen cools down until it does. So the gateway may start before a local model server, and
uses it within seconds after its start. A check opens a connection and sends no request.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.provider_errors.failures import Cause
from gateway.upstream.connection_failure import unreachable_reason
from gateway.upstream.proxy import Proxies

log = logging.getLogger("locus.reachability")

INTERVAL_S = 2.0
CONNECT_TIMEOUT_S = 1.0
MAX_CONCURRENT = 50  # checks
MOST_SAID = 3  # models in one log line, with what answers for them meanwhile
_PORTS = {"https": 443}

Address = tuple[str, int]


class Reachability:
    """Checks the deployments in force. Use as an async context manager; the first check is over when it is entered.

    Args:
        deployments: gives the one in force.
        proxies: the proxies of deployments; if a deployment has one, the proxy must accept connections.
        level: the log level for servers that do not accept connections. It is lower in all worker processes but one.
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
        self._checked: frozenset[LiveDeployment] = frozenset()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Reachability":
        await self.check()
        self._task = asyncio.create_task(self._check_periodically(), name="reachability")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def check(self) -> None:
        """Checks each deployment that is new, whose last check failed, or that requests could not reach."""
        lives = frozenset(live for model in self._deployments().all_models() for live in model.deployments)
        to_check: dict[Address, list[LiveDeployment]] = {}
        for live in lives:
            address = None if live.spec.missing_key is not None else self._address_of(live)
            if address is not None and (
                live not in self._checked or live.unreachable is not None or _requests_failed(live)
            ):
                to_check.setdefault(address, []).append(live)
        self._checked = lives
        limit = asyncio.Semaphore(MAX_CONCURRENT)
        errors = await asyncio.gather(*(_check_one(address, limit) for address in to_check))
        lost = []
        for (address, deployments), error in zip(to_check.items(), errors, strict=True):
            if error is None:
                self._mark_reachable(address, deployments)
            elif new := self._mark_unreachable(deployments, error):
                lost.append((address, error, new))
        for address, error, new in lost:  # once all are marked, so that none of them is said to answer meanwhile
            self._log_unreachable(address, error, new)

    async def _check_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.check()

    def _mark_reachable(self, address: Address, deployments: Iterable[LiveDeployment]) -> None:
        reachable = [live for live in deployments if live.unreachable is not None]
        for live in reachable:
            live.unreachable = None
            if not live.breaker.taken_out:
                live.breaker.success()
                live.changes.reported = live.breaker.condition
        if reachable:
            log.log(
                min(self._level, logging.INFO),
                "%s accepts connections now: %s",
                _host_and_port(address),
                _names(reachable),
            )

    def _mark_unreachable(self, deployments: Iterable[LiveDeployment], reason: str) -> list[LiveDeployment]:
        """Gives those among the deployments whose state the log does not have yet."""
        new = [live for live in deployments if live.unreachable != reason and not _is_reported(live)]
        for live in deployments:
            live.unreachable = reason
            if not live.breaker.taken_out:
                live.breaker.failure(self._clock(), reason, 2 * self._interval_s + CONNECT_TIMEOUT_S)
                live.changes.reported = live.breaker.condition
        return new

    def _log_unreachable(self, address: Address, reason: str, new: Iterable[LiveDeployment]) -> None:
        log.log(
            self._level,
            "%s: %s; checked again every %g s, and used as soon as it accepts connections: %s; %s",
            _host_and_port(address),
            reason,
            self._interval_s,
            _names(new),
            _meanwhile(new),
        )

    def _address_of(self, live: LiveDeployment) -> Address | None:
        base = live.spec.native_base or live.spec.api_base
        if base is None:  # only litellm knows the address
            return None
        proxy = self._proxies.proxy_for(base)
        return address_of(base if proxy is None else proxy.url)


def address_of(url: str) -> Address:
    """The host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


async def connection_error(address: Address) -> str | None:
    """The reason why no server accepts connections at an address, or None."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(*address)
    except TimeoutError:
        return f"no connection within {CONNECT_TIMEOUT_S:g} s"
    except UnicodeError:  # the host is not a valid IDNA name
        return "unknown host name"
    except OSError as exc:
        return unreachable_reason(exc)
    writer.close()
    return None


async def _check_one(address: Address, limit: asyncio.Semaphore) -> str | None:
    async with limit:
        return await connection_error(address)


def _requests_failed(live: LiveDeployment) -> bool:
    """True if the breaker is open because requests could not connect."""
    return live.breaker.open_until is not None and live.breaker.reason == Cause.CONNECTION.value


def _is_reported(live: LiveDeployment) -> bool:
    """True if the log says already that requests could not connect."""
    return _requests_failed(live) and live.changes.reported is live.breaker.condition


def _meanwhile(deployments: Iterable[LiveDeployment]) -> str:
    """Who answers while these deployments do not, for the first models."""
    of_models = {live.spec.model: live.meanwhile() for live in deployments}
    said = [f"{model}: {text}" for model, text in sorted(of_models.items())]
    return "; ".join(said[:MOST_SAID]) + ("; …" if len(said) > MOST_SAID else "")


def _host_and_port(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _names(deployments: Iterable[LiveDeployment]) -> str:
    return ", ".join(sorted(live.spec.id for live in deployments))
