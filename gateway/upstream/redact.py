"""Takes a deployment's own secrets out of what its provider says, before that goes to a client."""

import html
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.provider_errors.failures import UpstreamFailure
from gateway.provider_errors.request_echo import mask_request_text

SHORTEST = 6  # characters; shorter ones would be found in words
PIECE = 8  # characters of a secret that give it away in part
MASK = "***"
_URL_SAFE = str.maketrans("+/", "-_")  # RFC 4648, 5
_PLAIN = re.compile(r"[a-z\-_. ]*|[A-Z\-_. ]*")  # a piece that may be of an ordinary word
_WORD = re.compile(r"[a-z]*|v\d\w*")  # parts of a path that say nothing: `v1beta`, `inference`
# What looks like a key, an account or an address inside a network, of any owner: a gateway before the provider may tell its own.
_PRIVATE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|csk|tvly|ghp|gho|glpat|github_pat)[-_](?=\S{0,100}[\d*])[\w\-*.]{8,400}"
    r"|\borg-[\w\-]{1,80}|\bproj_[\w\-]{1,80}|\bacct_[\w\-]{1,80}"
    r"|(?<=://)[^\s/:@\"'`<>]{1,200}:[^\s/@\"'`<>]{1,200}(?=@)"
    r"|\bhttp://[^\s\"'`<>]{1,300}|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"
    r"|\bAIza[\w\-]{16,100}|\b(?:AKIA|ASIA)[A-Z0-9]{12,30}|\beyJ[\w\-]{10,400}\.[\w\-.]{10,2000}"
    r"|(?P<scheme>\b(?:bearer|basic)[ :]{1,3}[\"'`]?)(?=\S{0,60}[\d*])[\w\-+/=.*~]{8,400}",
    re.IGNORECASE,
)


def redact(failure: UpstreamFailure, deployment: Deployment, request: Mapping[str, Any]) -> None:
    """Takes the deployment's secrets, keys of any kind and private addresses out of what a failure tells: `***` instead.

    What the request says is taken out of the reason too, which is recorded. The whole error as it came is let go.

    Args:
        request: its fields.
    """
    pattern = _pattern(tuple(sorted({s for s in _secrets(deployment) if len(s) >= SHORTEST}, key=len, reverse=True)))
    if failure.error_body is not None:
        failure.reason = mask_request_text(failure.error_body, request).reason
        failure.error_body = None
    failure.reason = _clean(failure.reason, pattern)
    if failure.error is not None:
        failure.error = {key: _clean(value, pattern) for key, value in failure.error.items()}


def _clean(value: Any, secrets: re.Pattern[str] | None) -> Any:
    if not isinstance(value, str):
        return value
    if "&#" in value:
        value = html.unescape(value)
    if secrets is not None:
        value = secrets.sub(MASK, value)
    return _PRIVATE.sub(lambda found: (found["scheme"] or "") + MASK, value)


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_loosely, secrets)), re.IGNORECASE) if secrets else None


def _loosely(secret: str) -> str:
    """A pattern of a secret as servers repeat it: as it is, encoded, in pieces, or a piece of it alone."""
    forms = {
        quote(secret, safe=""),
        html.escape(secret),
        orjson.dumps(secret).decode()[1:-1],
        secret.encode().hex(),
        *_in_base64(secret.encode()),
        secret[::-1],
    }
    pieces = {secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1)} if "://" not in secret else set()
    forms |= {piece for piece in pieces if not _PLAIN.fullmatch(piece)}
    spaced = r"\s?".join(map(re.escape, secret))
    rest = r"[^\s\"'`<>]{0,300}" if "://" in secret else ""  # of an address: its query
    return "|".join((spaced + rest, *map(re.escape, sorted(forms, key=len, reverse=True))))


def _in_base64(data: bytes) -> Iterator[str]:
    """The letters of Base64 that stand for `data` alone, wherever it begins in a text such as `user:password`."""
    for before in range(3):
        letters = b64encode(b"\0" * before + data).rstrip(b"=")[-(-before * 4 // 3) : -1].decode()
        if len(letters) >= PIECE:
            yield letters
            yield letters.translate(_URL_SAFE)


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
    """Every string in a deployment's parameters, however deep: a secret may have any name."""
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
