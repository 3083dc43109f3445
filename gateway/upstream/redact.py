"""Masks a deployment's secrets in the errors of its provider, before a client, the record or the log gets them."""

import html
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, urlsplit

import orjson

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.provider_errors.failures import UpstreamFailure
from gateway.provider_errors.request_echo import mask_request_text

SHORTEST = 6  # characters of a secret; shorter ones occur in ordinary words
PIECE = 8  # characters; a part of a secret that is this long is masked too
MASK = "***"
_URL_SAFE = str.maketrans("+/", "-_")  # RFC 4648, 5
_PLAIN = re.compile(r"[a-z\-_. ]*|[A-Z\-_. ]*")  # a part that may be from an ordinary word
_WORD = re.compile(r"[a-z]*|v\d\w*")  # parts of a path that are not secret: `v1beta`, `inference`
# Keys, accounts and private addresses of any owner: another gateway in front of the provider may report its own.
_PRIVATE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|csk|tvly|ghp|gho|glpat|github_pat)[-_](?=\S{0,100}[\d*])[\w\-*.]{8,400}"
    r"|\borg-[\w\-]{1,80}|\bproj_[\w\-]{1,80}|\bacct_[\w\-]{1,80}"
    r"|(?<=://)[^\s/:@\"'`<>]{1,200}:[^\s/@\"'`<>]{1,200}(?=@)"
    r"|\bhttp://[^\s\"'`<>]{1,300}|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"
    r"|\bAIza[\w\-]{16,100}|\b(?:AKIA|ASIA)[A-Z0-9]{12,30}|\beyJ[\w\-]{10,400}\.[\w\-.]{10,2000}"
    r"|(?P<scheme>\b(?:bearer|basic)[ :]{1,3}[\"'`]?)(?=\S{0,60}[\d*])[\w\-+/=.*~]{8,400}",
    re.IGNORECASE,
)


def redact(failure: UpstreamFailure, deployment: Deployment, request: Mapping[str, object]) -> None:
    """Replaces the deployment's secrets, keys of any kind and private addresses in a failure by `***`.

    Values of the request are masked in the reason too, since it is recorded. The provider's complete error is dropped.

    Args:
        request: the fields of the request.
    """
    pattern = _pattern(tuple(sorted({s for s in _secrets(deployment) if len(s) >= SHORTEST}, key=len, reverse=True)))
    if failure.error_body is not None:
        failure.reason = mask_request_text(failure.error_body, request).reason
        failure.error_body = None
    failure.reason = _masked(failure.reason, pattern)
    if failure.error is not None:
        failure.error = {
            key: _masked(value, pattern) if isinstance(value, str) else value for key, value in failure.error.items()
        }


def _masked(text: str, secrets: re.Pattern[str] | None) -> str:
    if "&#" in text:
        text = html.unescape(text)
    if secrets is not None:
        text = secrets.sub(MASK, text)
    return _PRIVATE.sub(lambda match: (match["scheme"] or "") + MASK, text)


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_forms_pattern, secrets)), re.IGNORECASE) if secrets else None


def _forms_pattern(secret: str) -> str:
    """A pattern for a secret in the forms in which servers repeat it: unchanged, encoded, reversed, with spaces, or in part."""
    forms = {
        quote(secret, safe=""),
        html.escape(secret),
        orjson.dumps(secret).decode()[1:-1],
        secret.encode().hex(),
        *_base64_forms(secret.encode()),
        secret[::-1],
    }
    pieces = {secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1)} if "://" not in secret else set()
    forms |= {piece for piece in pieces if not _PLAIN.fullmatch(piece)}
    spaced = r"\s?".join(map(re.escape, secret))
    rest = r"[^\s\"'`<>]{0,300}" if "://" in secret else ""  # the query of an address
    return "|".join((spaced + rest, *map(re.escape, sorted(forms, key=len, reverse=True))))


def _base64_forms(data: bytes) -> Iterator[str]:
    """The Base64 characters that encode only `data`, for each position in a text such as `user:password`."""
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


def _strings(value: object) -> Iterator[str]:
    """All strings in a deployment's parameters, at any depth: a secret may have any name."""
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
