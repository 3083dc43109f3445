"""The listening socket: opened once at the start, and kept when the portfolio file changes."""

import errno
import os
import socket
from dataclasses import replace

from gateway.config.addresses import is_loopback
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError
from gateway.core.client_limits import BACKLOG


class CannotListen(Exception):
    """Raised if the address cannot be used; the message says what to do about it."""


def listen(portfolio: Portfolio) -> socket.socket:
    """Opens the listening socket.

    Raises:
        CannotListen: the system refuses the address, or a network could reach a gateway without keys.
    """
    host, port = portfolio.settings.host, portfolio.settings.port
    if not portfolio.has_keys and not is_loopback(host):
        raise CannotListen(
            f"without gateway keys only a loopback address is served, not {host}: set `keys` in {portfolio.path}"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise CannotListen(refusal(host, port, exc)) from exc


def refusal(host: str, port: int, error: OSError) -> str:
    """The reason why the system refuses an address, and a way out."""
    reason = f"cannot listen on {host}:{port}: {os.strerror(error.errno) if error.errno else error}"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{reason}: another program listens there; stop it, or choose another port: --port {port % 65535 + 1}"
            )
        case errno.EACCES:
            return f"{reason}: ports below 1024 need a privilege; choose another port: --port 4000"
        case errno.EADDRNOTAVAIL:
            return f"{reason}: no network interface of this machine has it; choose another address: --host 127.0.0.1"
    return reason


def for_listener(changed: Portfolio, in_force: Portfolio) -> Portfolio:
    """A changed portfolio with the address on which the gateway listens already.

    Raises:
        PortfolioError: a key that is in force is missing without a statement that it should be, or a network could reach a
            gateway without keys.
    """
    before, after = in_force.settings, changed.settings
    settings = after.model_copy(update={"host": before.host, "port": before.port})
    if in_force.access.keys and not changed.access.keys and "keys" not in after.model_fields_set:
        raise PortfolioError([f"{changed.path}: gateway: `keys` is missing; to serve without any key write `keys: []`"])
    if before.admin_key is not None and after.admin_key is None and "admin_key" not in after.model_fields_set:
        advice = "`admin_key` is missing; to remove it write `admin_key: null`"
        raise PortfolioError([f"{changed.path}: gateway: {advice}"])
    changed = replace(changed, settings=settings)
    if not changed.has_keys and not is_loopback(settings.host):
        raise PortfolioError([f"{changed.path}: without gateway keys {settings.host} would be open to all"])
    return changed
