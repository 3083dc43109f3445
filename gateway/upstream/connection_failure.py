"""Classifies the errors of the HTTP client: no connection, a timeout, a truncated body, or a fault of this machine."""

import errno
import socket

import aiohttp

from gateway.provider_errors.failures import Cause, UpstreamFailure


def unreachable_reason(exc: OSError) -> str:
    """The reason why no connection could be opened, without the address."""
    match exc:
        case socket.gaierror():
            return "unknown host name"
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            return (exc.strerror or type(exc).__name__).lower()


# This machine lacks ports, descriptors or memory for a connection, which says nothing about the provider.
_LOCAL_FAULTS = frozenset(
    {errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN}
)
CLIENT_ERRORS = (aiohttp.ClientError, OSError)  # TimeoutError is an OSError


def connection_failure(exc: Exception) -> UpstreamFailure:
    """The HTTP client's exception as an `UpstreamFailure`. Its text may contain a URL, so only its class name is kept."""
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamFailure(Cause.CONNECTION, detail="connect timeout", reason="no connection in time")
        case OSError(errno=number) if number in _LOCAL_FAULTS:
            return UpstreamFailure(Cause.LOCAL, detail=errno.errorcode[number])
        case aiohttp.ClientConnectorError():
            reason = unreachable_reason(exc.os_error)
            return UpstreamFailure(Cause.CONNECTION, detail=type(exc).__name__, reason=reason)
        case TimeoutError():
            return UpstreamFailure(Cause.TIMEOUT, detail="silent beyond the limit")
        case aiohttp.ClientPayloadError():
            return UpstreamFailure(Cause.UNREADABLE, detail="truncated body")
        case _:
            return UpstreamFailure(Cause.CONNECTION, detail=type(exc).__name__)
