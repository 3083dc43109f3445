"""Checks the base URLs of providers. Messages say what to write instead and do not show the address, which may hold a key."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

SHELL_SYNTAX = re.compile(
    r"\$\{\w|\$\(|\{\{|^\$\w+$|^%\w+%$|^<.*>$|^`.*`$"
)  # also templates, and placeholders of manuals
_ENVIRONMENT = "os.environ"
# Endings that the gateway or litellm appends.
_ENDINGS = re.compile(r"/(chat/completions|completions|responses|messages|embeddings|chat|models)$")
_OLLAMA_ENDINGS = re.compile(r"/api(/\w+)?$")
_WHOLE_URL_PROVIDERS = frozenset(
    {"azure", "azure_ai", "huggingface", "sagemaker", "vertex_ai", "vertex_ai_beta", "cloudflare"}
)


class AddressError(ValueError):
    """Raised for an address that no call can reach. The message says what to write."""


def check_address(address: str, provider: str) -> None:
    """Checks that an address is a base URL.

    Args:
        provider: prefix of LiteLLM's model names. Some providers accept complete URLs with a path and a query.

    Raises:
        AddressError: it is not an `http(s)://host…` URL that paths can be appended to.
    """
    fault = _fault(address, provider)
    if fault is not None:
        raise AddressError(fault)


def _fault(address: str, provider: str) -> str | None:
    """The reason why an address is refused, or None."""
    if SHELL_SYNTAX.search(address):
        return "shell syntax is not read here; write os.environ/NAME, where NAME holds the whole address"
    if _ENVIRONMENT in address:
        return "a reference must be the whole value: write os.environ/NAME, where NAME holds the whole address"
    if any(c.isspace() or not c.isprintable() for c in address):
        return "there is a space or a control character in the address; leave it out"
    scheme, colon, rest = address.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        return "expected an address that begins with http:// or https://, such as http://127.0.0.1:8000/v1"
    try:
        parts = urlsplit(address)
        port = parts.port
        (parts.hostname or "").encode("idna")  # empty labels and those of more than 63 characters
    except ValueError:
        return "the host or the port is not valid; expected an address such as http://127.0.0.1:8000/v1"
    if "@" in parts.netloc:
        return "there is a user or password in the address, which would show; write a key or a header instead"
    if not parts.hostname or port == 0 or re.search(r'[\\{}<>"^`|]', rest) or "://" in rest:
        return "the host or the port is not valid; expected an address such as http://127.0.0.1:8000/v1"
    if "#" in address:
        return "there is a fragment (#…) in the address; leave it out"
    if provider in _WHOLE_URL_PROVIDERS:
        return None
    if "?" in address:
        return "there is a query (?…) in the address, which paths would be appended to; leave it out"
    path = parts.path.rstrip("/")
    ending = (_OLLAMA_ENDINGS.search(path) if provider.startswith("ollama") else None) or _ENDINGS.search(path)
    if ending is not None:
        return f"the address ends with {ending[0]}, which the gateway appends itself; leave that out"
    return None


@lru_cache(256)  # it is asked for each request
def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach a server on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
