"""The listening socket, and the errors if it cannot be opened."""

import errno
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.portfolio import Portfolio, Secret
from gateway.server.listener import CannotListen, listen, refusal


def portfolio(host: str, port: int, *keys: Secret) -> Portfolio:
    empty = Portfolio(path=Path("portfolio.yaml"), models=())
    return replace(empty, settings=replace(empty.settings, host=host, port=port, keys=keys))


@pytest.mark.parametrize(
    ("number", "port", "advice"),
    [
        (errno.EADDRINUSE, 4000, "another program listens there; stop it, or choose another port: --port 4001"),
        (errno.EADDRINUSE, 65535, "--port 1"),
        (errno.EACCES, 80, "ports below 1024 need a privilege"),
        (errno.EADDRNOTAVAIL, 4000, "no network interface of this machine has it"),
        (errno.EMFILE, 4000, os.strerror(errno.EMFILE)),
    ],
)
def test_a_refused_address_is_explained_with_a_way_out(number: int, port: int, advice: str) -> None:
    message = refusal("127.0.0.1", port, OSError(number, "ignored"))
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}: {os.strerror(number)}")
    assert message.endswith(advice) or advice in message


def test_an_error_without_a_number_keeps_its_text() -> None:
    assert refusal("nowhere", 1, socket.gaierror("unknown host")) == "cannot listen on nowhere:1: unknown host"


def test_a_free_port_is_listened_on_and_a_used_one_is_refused() -> None:
    with listen(portfolio("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=f"--port {port % 65535 + 1}"):
            listen(portfolio("127.0.0.1", port))


def test_a_network_needs_keys() -> None:
    with pytest.raises(CannotListen, match="without gateway keys only a loopback address"):
        listen(portfolio("0.0.0.0", 0))
    listen(portfolio("0.0.0.0", 0, Secret("sk-one"))).close()
