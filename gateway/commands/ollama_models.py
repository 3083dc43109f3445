"""Asks a local Ollama server which models it has."""

import http.client
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from gateway.config.providers import OLLAMA_ADDRESS

TIMEOUT_S = 2.0  # of each request; the server is on this machine
_CAPABILITIES = {"tools": "tools", "vision": "vision", "thinking": "reasoning"}  # Ollama's word -> ours


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model that a local Ollama server has pulled.

    Attributes:
        name: with its tag, such as llama3.1:8b.
        context_window: of the model, in tokens; None if the server does not state it.
        capabilities: in the words of the portfolio.
        chat: False for a model that makes embeddings only.
    """

    name: str
    context_window: int | None = None
    capabilities: frozenset[str] = frozenset()
    chat: bool = True


def ollama_address(environment: Mapping[str, str]) -> str:
    """Returns the base URL of the local server, which OLLAMA_HOST may state: `0.0.0.0:8000` -> `http://127.0.0.1:8000`."""
    stated = environment.get("OLLAMA_HOST", "").strip()
    parts = urlsplit(stated if "://" in stated else f"http://{stated}")
    host, _, port = parts.netloc.rpartition(":") if not parts.netloc.endswith("]") else (parts.netloc, "", "")
    if not port.isdecimal():
        host, port = parts.netloc, str(urlsplit(OLLAMA_ADDRESS).port)
    host = "127.0.0.1" if host in ("", "0.0.0.0") else host
    return f"{parts.scheme}://{host}:{port}"


def ollama_models(address: str) -> list[OllamaModel] | None:
    """Returns the models of the server at this address, or None if no Ollama server answers there."""
    try:
        listed = _ask(f"{address}/api/tags")
    except (OSError, ValueError, http.client.HTTPException):
        return None
    entries = listed.get("models")
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [_described(address, name) for name in names if isinstance(name, str)]


def _described(address: str, name: str) -> OllamaModel:
    try:
        details = _ask(f"{address}/api/show", {"model": name})
    except (OSError, ValueError, http.client.HTTPException):
        details = {}
    information, stated = details.get("model_info"), details.get("capabilities")
    windows = [
        value
        for key, value in (information if isinstance(information, dict) else {}).items()
        if str(key).endswith(".context_length") and isinstance(value, int) and value > 0
    ]
    known = stated if isinstance(stated, list) else ["completion"]  # versions before 0.6.4 state none
    return OllamaModel(
        name,
        windows[0] if windows else None,
        frozenset(_CAPABILITIES[word] for word in known if word in _CAPABILITIES),
        "completion" in known,
    )


def _ask(url: str, body: dict[str, str] | None = None) -> dict[str, object]:
    """Returns the JSON object with which the server answers; no HTTP proxy is asked for it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, None if body is None else orjson.dumps(body))
    with opener.open(request, timeout=TIMEOUT_S) as response:
        value = orjson.loads(response.read())
    if not isinstance(value, dict):
        raise ValueError(f"{url}: no JSON object")
    return value
