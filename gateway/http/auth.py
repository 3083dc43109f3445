"""Authentication by the admin key, or as a program of this machine. Pure functions of the headers.

`gateway.keys` finds the gateway keys.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import Scope

from gateway.config.access import Grant
from gateway.config.addresses import is_loopback
from gateway.config.settings import Settings
from gateway.core.errors import AuthenticationFailed, Forbidden, GatewayError

Headers = dict[bytes, bytes]

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")  # RFC 3986, 3.2, without user

MAX_HOST_BYTES = 300  # of a Host or Origin header: no host name is longer than 253 bytes (RFC 1035)
# A proxy adds one of these, or an `x-forwarded-…` header, to a request that it forwards for another machine.
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


@dataclass(frozen=True, slots=True)
class SessionAccess:
    """What a request may do whose session the console has checked. It is in `scope["state"]["session"]`, which no client can set.

    Attributes:
        operator: /admin and /metrics too.
    """

    operator: bool
    grant: Grant


def given_key(headers: Headers) -> bytes:
    """The key of a request, from `Authorization: Bearer` or `x-api-key`; empty if it has none."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")


def check_local(headers: Headers, origins: Sequence[str] = ()) -> None:
    """Checks that a request to a gateway without keys comes from a program of this machine.

    It must not come from another machine through a proxy, or from a web page of another site in this machine's browser. Such a
    page can send requests with its own origin, or with its own host name if it lets that name resolve to this machine.

    Args:
        origins: of web pages that are allowed.

    Raises:
        Forbidden: a proxy forwarded the request, or `Host` or `Origin` names another machine.
    """
    if (forwarded := _proxy_header(headers)) is not None:
        raise Forbidden(
            f"Without gateway keys only programs of this machine are served, and the header `{forwarded}` says that a proxy "
            "forwards this request: set `keys` under `gateway` in the portfolio file."
        )
    name = _foreign_header(headers)
    if name == "origin" and headers[b"origin"].decode("latin-1") in origins:
        return
    if name is not None:
        more = ", or allow the web page by `cors_origins`" if name == "origin" else ""
        raise Forbidden(
            f"Without gateway keys only this machine is served, and `{name}` names another: set `keys` under `gateway` in "
            f"the portfolio file{more}."
        )


def check_this_machine(scope: Scope) -> None:
    """Checks that a request comes from this machine itself; its key does not matter.

    Raises:
        Forbidden: it comes from another machine, through a proxy or from a web page of another site.
    """
    client = scope.get("client")
    headers: Headers = dict(scope["headers"])
    if client is None or not is_loopback(client[0]) or _proxy_header(headers) or _foreign_header(headers):
        raise Forbidden("This is answered to programs of the gateway's own machine only.")


def _proxy_header(headers: Headers) -> str | None:
    """The name of a header that a proxy added when it forwarded the request; None if there is none."""
    if not _FORWARDED.isdisjoint(headers):
        return next(name.decode() for name in headers if name in _FORWARDED)
    return next((name.decode("latin-1") for name in headers if name.startswith(b"x-forwarded-")), None)


def _foreign_header(headers: Headers) -> str | None:
    """The header, "host" or "origin", that names another machine than this one; None if neither does."""
    if (host := headers.get(b"host")) is not None and not (len(host) <= MAX_HOST_BYTES and _is_own_host(host)):
        return "host"
    if (origin := headers.get(b"origin")) is not None and not (
        len(origin) <= MAX_HOST_BYTES and _is_own_origin(origin)
    ):
        return "origin"
    return None


@lru_cache(1024)
def _is_own_host(value: bytes) -> bool:
    """Return True if a Host header (RFC 9110, 7.2) names this machine, or has no dot, as no public web page does."""
    match = _AUTHORITY.fullmatch(value.decode("latin-1"))
    if match is None:
        return False
    host = match["host"].lower().strip("[]")
    return _is_this_machine(host) or not set(host) & {".", ":"}


@lru_cache(1024)
def _is_own_origin(value: bytes) -> bool:
    """Return True if an Origin (RFC 6454, 6.2) is a page or program of this machine itself.

    A name without a dot is not enough here: pages of the local network and browser extensions have such names. Sandboxed pages
    and files have the origin `null`, which is refused.
    """
    _, separator, authority = value.decode("latin-1").partition("://")
    match = _AUTHORITY.fullmatch(authority) if separator else None
    return match is not None and _is_this_machine(match["host"].lower().strip("[]"))


def _is_this_machine(host: str) -> bool:
    return is_loopback(host) or host.endswith(".localhost")  # RFC 6761, 6.3: every name under it is loopback


def check_operator(headers: Headers, settings: Settings) -> None:
    """Checks that a request is the operator's.

    The operator sends the admin key. If none is set, programs of this machine are the operator, as long as the gateway listens
    on a loopback address; web pages of other sites are not, even if `cors_origins` allows them.

    Raises:
        AuthenticationFailed: the admin key is missing or wrong.
        Forbidden: no admin key is set, and the request may come from another machine or site.
    """
    if settings.admin_key is not None:
        if not is_admin_key(given_key(headers), settings):
            raise AuthenticationFailed("This needs the admin key, as `Authorization: Bearer <key>`.")
    elif not is_loopback(settings.host) or _proxy_header(headers) or _foreign_header(headers):
        raise Forbidden("This is for the operator: set `admin_key` under `gateway` in the portfolio file, and send it.")


def is_admin_key(given: bytes, settings: Settings) -> bool:
    """Return True if a request was given the admin key."""
    admin = settings.admin_key
    return admin is not None and bool(given) and hmac.compare_digest(given, admin.to_bytes())


def is_operator(scope: Scope, settings: Settings) -> bool:
    """Return True if the request is the operator's, see `check_operator`."""
    try:
        check_operator(dict(scope["headers"]), settings)
    except GatewayError:
        return False
    return True
