"""The client of a Valkey or Redis server, which several gateways share. Every command is answered or fails within a short time."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from router.extras import require

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT_S = 0.05  # of each command, with its connection
CONNECTIONS = 16


def open_client(url: str, timeout_s: float = TIMEOUT_S) -> "Redis":
    """A client with a small pool of connections. The caller closes it with its pool.

    Args:
        url: "valkey://", "valkeys://", "redis://" or "rediss://", with host, port, database and credentials.

    Raises:
        MissingPackage: the client's package is not installed.
    """
    require("redis", "hiredis", extra="valkey")
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # A plain pool raises when it is exhausted; this one waits for a connection.
    pool = BlockingConnectionPool.from_url(
        _redis_url(url),
        max_connections=CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),  # a connection that the server has closed meanwhile
    )
    return Redis(connection_pool=pool)


def server_name(url: str) -> str:
    """Host, port and database of a URL, without credentials."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _redis_url(url: str) -> str:
    """redis-py knows `redis` and `rediss`."""
    scheme, separator, rest = url.partition("://")
    return {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme) + separator + rest
