"""Timeouts and sizes that limit one client connection. They are constants, not settings: the defaults fit every deployment."""

from dataclasses import dataclass

BACKLOG = 2048  # listen backlog: connections that the kernel queues until the gateway accepts them


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Limits of one connection; times in seconds.

    Attributes:
        keep_alive_s: idle time before a request, on a new connection and between two requests. Longer than the 60 s for
            which load balancers usually keep a connection, so that the load balancer closes it first.
        head_s: from the first byte of a request until its headers are complete.
        head_bytes: request line and headers.
        body_idle_s: between two pieces of a request body.
        body_s: for the complete request body.
        surplus_s: for the rest of a body that the gateway no longer reads.
        unread_s: without the client reading from its response while the send buffers are full.
        linger_s: idle time during a shutdown before a connection is closed; a request that has just arrived is still served.
        pipelined: number of requests that a client may send ahead on one connection (HTTP pipelining).
        connections_share: of the process's file descriptors; the rest is for calls to providers and for files.
    """

    keep_alive_s: float = 75.0
    head_s: float = 10.0
    head_bytes: int = 64 << 10
    body_idle_s: float = 30.0
    body_s: float = 120.0
    surplus_s: float = 10.0
    unread_s: float = 120.0
    linger_s: float = 0.5
    pipelined: int = 32
    connections_share: float = 0.7

    @property
    def shortest_s(self) -> float:
        """The interval at which a connection must be checked so that no timeout is missed by more than itself."""
        return min(self.keep_alive_s, self.head_s, self.surplus_s, self.unread_s)


LIMITS = ClientLimits()

LONGEST_NAME = 256  # characters of a model name, in the portfolio and in a request
