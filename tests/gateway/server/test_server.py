"""Parts of the server that need no socket."""

import asyncio
import resource

import pytest
from starlette.types import Receive, Scope, Send

from gateway.server.server import Server, _max_connections, _until

pytestmark = pytest.mark.anyio


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("no request is sent")


def test_a_second_request_to_stop_ends_the_grace_period() -> None:
    server = Server(app, lambda: 30.0)
    assert not server.should_exit
    server.ask_to_stop()
    assert (server.should_exit, server.force_exit) == (True, False)
    server.ask_to_stop()
    assert (server.should_exit, server.force_exit) == (True, True)


def test_connections_get_a_share_of_the_file_descriptors() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert _max_connections(0.5) == (1 << 20 if soft == resource.RLIM_INFINITY else int(soft * 0.5))


def test_each_server_has_connections_of_its_own() -> None:
    one, other = Server(app, lambda: 1.0), Server(app, lambda: 1.0)
    one._connection_class.stopping = True
    assert not other._connection_class.stopping


async def test_a_wait_ends_with_its_condition_or_at_its_deadline() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await _until(lambda: True, began + 30)
    await _until(lambda: False, began + 0.05)
    assert 0.05 <= loop.time() - began < 10
