import errno
import socket

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from gateway.provider_errors.failures import Cause
from gateway.upstream.connection_failure import connection_failure, unreachable_reason

KEY = ConnectionKey("h", 80, False, True, None, None, None)


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unknown host name"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.7', 80)"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (OSError(), "oserror"),
    ],
)
def test_the_reason_contains_no_address(exc: OSError, reason: str) -> None:
    assert unreachable_reason(exc) == reason


@pytest.mark.parametrize(
    ("exc", "cause", "detail"),
    [
        (aiohttp.ConnectionTimeoutError("http://10.0.0.7"), Cause.CONNECTION, "connect timeout"),
        (OSError(errno.EMFILE, "Too many open files"), Cause.LOCAL, "EMFILE"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ENOBUFS, "x")), Cause.LOCAL, "ENOBUFS"),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError()), Cause.CONNECTION, "ClientConnectorError"),
        (TimeoutError(), Cause.TIMEOUT, "silent beyond the limit"),
        (aiohttp.ClientPayloadError("http://10.0.0.7"), Cause.UNREADABLE, "truncated body"),
        (aiohttp.ServerDisconnectedError("http://10.0.0.7"), Cause.CONNECTION, "ServerDisconnectedError"),
    ],
)
def test_errors_of_the_http_client_are_classified(exc: Exception, cause: Cause, detail: str) -> None:
    failure = connection_failure(exc)
    assert (failure.cause, failure.detail) == (cause, detail)
    assert "10.0.0.7" not in f"{failure} {failure.reason}"


def test_a_refused_connection_has_a_reason() -> None:
    assert (
        connection_failure(aiohttp.ClientConnectorError(KEY, ConnectionRefusedError())).reason == "connection refused"
    )
