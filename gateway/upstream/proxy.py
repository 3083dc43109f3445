"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, read as curl and most clients do.

Servers on this machine are called directly. No log line or error contains the credentials of a proxy.
"""

import ipaddress
import logging
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gateway.config.addresses import is_loopback

log = logging.getLogger("locus.proxy")

_SUPPORTED = ("http", "https")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        url: without credentials.
        headers: the credentials, sent to the proxy only; empty if it has none.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Proxies:
    """Finds the proxy through which a URL is called.

    Args:
        environment: read once; a lower-case name takes precedence over its upper-case form.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._by_scheme: dict[str, Proxy] = {}
        self._direct = tuple(map(_NoProxy.parse, _variable(environment, "no_proxy")[1].replace(",", " ").split()))
        self._cache: dict[str, Proxy | None] = {}
        for scheme in _SUPPORTED:
            name, value = _variable(environment, f"{scheme}_proxy")
            if not value:
                name, value = _variable(environment, "all_proxy")
            if (proxy := _parse_proxy(name, value)) is not None:
                self._by_scheme[scheme] = proxy

    def proxy_for(self, url: str) -> Proxy | None:
        """The proxy for a URL; None if it is called directly."""
        if not self._by_scheme:
            return None
        if url not in self._cache:
            self._cache[url] = self._find(url)
        return self._cache[url]

    def _find(self, url: str) -> Proxy | None:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if is_loopback(host) or host.endswith(".localhost"):
            return None
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if any(entry.covers(host, port) for entry in self._direct):
            return None
        return self._by_scheme.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class _NoProxy:
    """One entry of NO_PROXY: a host and its subdomains, an address, a network or `*`, each with or without a port."""

    name: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "_NoProxy":
        """`parse(".example.com:8080")` covers `example.com` and its subdomains, on port 8080."""
        name, port = text.lower(), None
        head, colon, tail = name.rpartition(":")
        if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
            name, port = head, int(tail)
        name = name.strip("[]")
        try:
            return cls(name, ipaddress.ip_network(name, strict=False), port)
        except ValueError:
            return cls(name if name == "*" else name.removeprefix("*").strip("."), None, port)

    def covers(self, host: str, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            try:
                return ipaddress.ip_address(host) in self.network
            except ValueError:
                return False
        return self.name == "*" or host == self.name or (bool(self.name) and host.endswith(f".{self.name}"))


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    """The name of the variable as it is set, and its value; an empty value if it is not set."""
    names = [name] if name == "http_proxy" and "REQUEST_METHOD" in environment else [name, name.upper()]
    for written in names:  # not HTTP_PROXY in a CGI process: there it is a header of the client
        if written in environment:
            return written, environment[written].strip()
    return name, ""


def _parse_proxy(name: str, value: str) -> Proxy | None:
    if not value:
        return None
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        log.warning("%s is not used: its value is not the URL of a proxy", name)
        return None
    if parts.scheme not in _SUPPORTED:
        log.warning("%s is not used: a proxy must begin with http:// or https://, not %s://", name, parts.scheme)
        return None
    host = f"[{host}]" if ":" in host else host
    headers = {}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["proxy-authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"  # RFC 7617
    return Proxy(f"{parts.scheme}://{host}" + ("" if port is None else f":{port}"), headers)
