"""The data that all calls for one request share: resources of the process, the request, and the order of deployments."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.answering.call_cap import CallCap
from gateway.answering.call_order import CallOrder
from gateway.answering.retry import Budget
from gateway.answering.spending import Spending
from gateway.api.dialect import Writer
from gateway.config.settings import Settings
from gateway.core.vocabulary import Clock
from gateway.limits.deployments import DeploymentLimits
from gateway.limits.output_lengths import OutputLengths
from gateway.request.conversation import Turn
from gateway.request.request import Request
from gateway.upstream.upstreams import Upstreams


class Resources:
    """Objects that all requests of the process share.

    Args:
        upstreams: the clients of all providers.
        limits: those of deployments.
        lengths: of recent answers.
        clock, sleep, rng: injected, so that tests control time and chance.

    Attributes:
        retries: the budget of repeated and additional calls.
        hedges: the budget of calls that begin beside a slow one although nothing has failed.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        limits: DeploymentLimits,
        lengths: OutputLengths,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.upstreams = upstreams
        self.limits = limits
        self.lengths = lengths
        self.clock = clock
        self.sleep = sleep
        self.rng = rng or random.Random()
        self.retries = Budget(clock)
        self.hedges = Budget(clock, reserve=1)


@dataclass(slots=True)
class RequestContext:
    """One request, and what every call for it needs.

    Attributes:
        request: as the client sent it, or as the dialect translated it to chat.
        call_order: the deployments that may still be called.
        writer: writes a stream in the client's format; None for a request that is not streamed.
        last: the conversation's last answer; None if it is not known.
        spending: what the request may spend; None if nothing limits it.
        own: the gateway asks by itself, so that the time of the answer says nothing about the requests of clients.
        cap: the calls that are left to the request; None if only the retry rules limit them.
    """

    resources: Resources
    request: Request
    settings: Settings
    call_order: CallOrder
    writer: Writer | None
    last: Turn | None
    spending: Spending | None
    own: bool = False
    cap: CallCap | None = None

    def no_other_deployment(self) -> bool:
        """Return True if no other deployment is left that could continue a stream."""
        return not self.call_order.more()
