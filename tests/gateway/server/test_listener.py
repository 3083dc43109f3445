"""The listening socket, and the errors if it cannot be opened."""

import errno
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.access import Access
from gateway.config.access_reader import plain_key
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.secret import Secret
from gateway.server.listener import CannotListen, for_listener, listen, refusal


def portfolio(host: str, port: int, *keys: Secret) -> Portfolio:
    empty = Portfolio(path=Path("portfolio.yaml"), models=())
    access = Access(tuple(plain_key(key, i, "") for i, key in enumerate(keys)))
    return replace(empty, settings=empty.settings.model_copy(update={"host": host, "port": port}), access=access)


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


NAMED = "keys: [{name: a, key: os.environ/K}]\n"


def keyed(settings: str) -> str:
    return f"models:\n  - name: m\n    context_window: 8\n    deployments: [{{model: ollama/m}}]\ngateway:\n{settings}"


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("  keys: [os.environ/K]\n", "  port: 1\n", "keys: []"),
        ("  keys: [os.environ/K]\n", "  keys: []\n", None),
        ("  keys: [os.environ/K]\n", "  keys: [os.environ/A]\n", None),
        (f"  port: 1\n{NAMED}", "  port: 1\n", "keys: []"),
        (f"  port: 1\n{NAMED}", "  keys: []\n", None),
        (f"  port: 1\n{NAMED}", "  keys: [os.environ/A]\n", None),
        (f"  host: 0.0.0.0\n{NAMED}", f"  port: 1\n{NAMED}", None),
        ("  admin_key: os.environ/A\n", "  port: 1\n", "admin_key: null"),
        ("  admin_key: os.environ/A\n", "  admin_key: null\n", None),
        ("  port: 1\n", "  port: 2\n", None),
        ("  host: 0.0.0.0\n  keys: [os.environ/K]\n", "  keys: []\n", "would be open"),
    ],
)
def test_a_reload_removes_keys_only_if_the_file_says_so(
    tmp_path: Path, before: str, after: str, refused: str | None
) -> None:
    path, environment = tmp_path / "portfolio.yaml", {"K": "sk-gateway-0123", "A": "sk-admin-0123"}
    path.write_text(keyed(before))
    in_force = load_portfolio(path, environment)
    path.write_text(keyed(after))
    changed = load_portfolio(path, environment)
    if refused is None:
        applied = for_listener(changed, in_force)
        assert applied.settings.keys == changed.settings.keys
        assert applied.settings.admin_key == changed.settings.admin_key
        assert applied.settings.port == in_force.settings.port
    else:
        with pytest.raises(PortfolioError, match=re.escape(refused)):
            for_listener(changed, in_force)
