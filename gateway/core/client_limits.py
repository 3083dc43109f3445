"""How long and how much one client may hold on to. One place for all of it; none of it is worth a setting."""

from dataclasses import dataclass

BACKLOG = 2048  # connections that the kernel holds until they are accepted


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Times in seconds.

    Attributes:
        keep_alive_s: silence before a request, on a new connection as well as between two requests. Longer than the 60 s
            for which load balancers usually keep a connection, so that they, not the gateway, close it.
        head_s: from the first byte of a request until its headers are complete.
        head_bytes: request line and headers.
        body_idle_s: without a byte of a body that the gateway waits for.
        body_s: for a whole body.
        surplus_s: until the rest of a body that is no longer read must have arrived.
        unread_s: without the client taking anything of its answer, while more of it waits than the buffers hold.
        linger_s: during a stop, silence before a connection is closed; who has just sent a request is still served.
        pipelined: requests sent ahead on one connection.
        connections_share: of the process's file descriptors; the others are for calls to providers, and for files.
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
        """As often as this a connection must be looked at for its times to be kept exactly."""
        return min(self.keep_alive_s, self.head_s, self.surplus_s, self.unread_s)


LIMITS = ClientLimits()

LONGEST_NAME = 256  # characters of a model's name, in the portfolio and in a request
