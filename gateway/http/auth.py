"""Who may ask what: by a key, by being a program of this machine, or by being its operator. Pure functions of the headers."""

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Scope

from gateway.config.portfolio import Secret, Settings, is_loopback
from gateway.core.errors import AuthenticationFailed, Forbidden, GatewayError

Headers = dict[bytes, bytes]

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")  # RFC 3986, 3.2, without user

MAX_HOST_BYTES = 300  # of a Host or Origin header: no name is longer than 253 (RFC 1035)
# By any of these a proxy says that it speaks for another machine; and every `x-forwarded-…`.
_FORWARDED = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"x-envoy-external-address",
        b"cf-connecting-ip",
        b"true-client-ip",
        b"fastly-client-ip",
    }
)


def given_key(headers: Headers) -> bytes:
    """The key that a request brings, as `Authorization: Bearer` or `x-api-key`; empty where it brings none."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")


def check_key(headers: Headers, keys: Sequence[Secret]) -> None:
    """Compares the request's key with every gateway key, in constant time.

    Raises:
        AuthenticationFailed: missing or wrong; the message does not repeat it.
    """
    given = given_key(headers)
    if not given:
        raise AuthenticationFailed("No key: send a gateway key as `Authorization: Bearer <key>`.")
    if not _is_one_of(given, keys):
        raise AuthenticationFailed("The key is not one of this gateway's keys.")


def check_local(headers: Headers, origins: Sequence[str] = ()) -> None:
    """Without keys only programs of this machine are served, and neither other machines behind a proxy nor the web pages of
    others that its browser shows.

    Such a page can send requests here, under its own origin or, by a name that it lets point to this machine, to its own host.

    Args:
        origins: of the web pages that may.

    Raises:
        Forbidden: a proxy forwarded the request, or `Host` or `Origin` names something else than this machine.
    """
    if (forwarded := _forwarded(headers)) is not None:
        raise Forbidden(
            f"Without gateway keys only programs of this machine are served, and the header `{forwarded}` says that a proxy "
            "forwards this request: set `keys` under `gateway` in the portfolio file."
        )
    name = _foreign(headers)
    if name == "origin" and headers[b"origin"].decode("latin-1") in origins:
        return
    if name is not None:
        more = ", or allow the web page by `cors_origins`" if name == "origin" else ""
        raise Forbidden(
            f"Without gateway keys only this machine is served, and `{name}` names another: set `keys` under `gateway` in "
            f"the portfolio file{more}."
        )


def check_this_machine(scope: Scope) -> None:
    """Whether a request comes from this machine itself, whatever key it has.

    Raises:
        Forbidden: it comes from another machine, from behind a proxy or from a web page of others.
    """
    client = scope.get("client")
    headers: Headers = dict(scope["headers"])
    if client is None or not is_loopback(client[0]) or _forwarded(headers) or _foreign(headers):
        raise Forbidden("This is answered to programs of the gateway's own machine only.")


def _forwarded(headers: Headers) -> str | None:
    """The header by which a proxy says that it speaks for another machine."""
    if not _FORWARDED.isdisjoint(headers):
        return next(name.decode() for name in headers if name in _FORWARDED)
    return next((name.decode("latin-1") for name in headers if name.startswith(b"x-forwarded-")), None)


def _foreign(headers: Headers) -> str | None:
    """The header by which a request comes from elsewhere than a program or a page of this machine."""
    if (host := headers.get(b"host")) is not None and not (len(host) <= MAX_HOST_BYTES and _is_own_host(host)):
        return "host"
    if (origin := headers.get(b"origin")) is not None and not (
        len(origin) <= MAX_HOST_BYTES and _is_own_origin(origin)
    ):
        return "origin"
    return None


@lru_cache(1024)
def _is_own_host(value: bytes) -> bool:
    """Whether a Host header (RFC 9110, 7.2) names this machine, or a name without a dot, which no web page of the world has."""
    match = _AUTHORITY.fullmatch(value.decode("latin-1"))
    if match is None:
        return False
    host = match["host"].lower().strip("[]")
    return _is_this_machine(host) or not set(host) & {".", ":"}


@lru_cache(1024)
def _is_own_origin(value: bytes) -> bool:
    """Whether an Origin (RFC 6454, 6.2) is a page or program of this machine itself.

    Pages of the local network have names without a dot too, browser extensions have such ids, and sandboxed pages and files
    have the origin `null`: none of them is.
    """
    _, separator, authority = value.decode("latin-1").partition("://")
    match = _AUTHORITY.fullmatch(authority) if separator else None
    return match is not None and _is_this_machine(match["host"].lower().strip("[]"))


def _is_this_machine(host: str) -> bool:
    return is_loopback(host) or host.endswith(".localhost")  # RFC 6761, 6.3: every name below it is loopback


def check_operator(headers: Headers, settings: Settings) -> None:
    """Whether this request is the operator's. By the admin key; without one, whatever this machine asks of its own address is,
    but not the web pages of others that its browser shows, whatever else they may.

    Raises:
        AuthenticationFailed: the admin key is missing or wrong.
        Forbidden: there is none, and others than this machine can reach the gateway.
    """
    if settings.admin_key is not None:
        given = given_key(headers)
        if not given or not _is_one_of(given, [settings.admin_key]):
            raise AuthenticationFailed("This needs the admin key, as `Authorization: Bearer <key>`.")
    elif not is_loopback(settings.host) or _forwarded(headers) or _foreign(headers):
        raise Forbidden("This is for the operator: set `admin_key` under `gateway` in the portfolio file, and send it.")


def is_operator(scope: Scope, settings: Settings) -> bool:
    """Whether this request may see what only the operator shall."""
    try:
        check_operator(dict(scope["headers"]), settings)
    except GatewayError:
        return False
    return True


def _is_one_of(given: bytes, keys: Sequence[Secret]) -> bool:
    # An environment that is not UTF-8 is read with surrogates, which give its bytes back.
    known = [hmac.compare_digest(given, key.reveal().encode(errors="surrogateescape")) for key in keys]
    return any(known)  # after all of them, whichever fits
