"""Takes a deployment's own secrets out of what its provider says, before that goes to a client."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.portfolio import Deployment, Secret

SHORTEST = 6  # characters; shorter ones would be found in words
_WORD = re.compile(r"[a-z]*|v\d\w*")  # parts of a path that say nothing: `v1beta`, `inference`


def redacted(error: Mapping[str, Any], deployment: Deployment) -> dict[str, Any]:
    """A provider's error object without the deployment's keys, header values, parameters and address: `***` instead."""
    secrets = sorted({s for s in _secrets(deployment) if len(s) >= SHORTEST}, key=len, reverse=True)

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret, "***")
            return value
        if isinstance(value, dict):
            return {clean(key): clean(inner) for key, inner in value.items()}
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    return {key: clean(value) for key, value in error.items()}


def _secrets(deployment: Deployment) -> Iterator[str]:
    if deployment.api_key is not None:
        yield deployment.api_key.reveal()
    for value in deployment.headers.values():
        yield value.reveal()
    for text in (*_strings(deployment.params), deployment.api_base or ""):
        yield text
        if "://" in text:
            parts = urlsplit(text)
            yield parts.netloc
            yield from (part for part in (*parts.path.split("/"), parts.query) if not _WORD.fullmatch(part))


def _strings(value: Any) -> Iterator[str]:
    """Every string in a deployment's parameters, however deep: what nobody calls secret may be one."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
