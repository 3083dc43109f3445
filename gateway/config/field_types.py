"""The types of single values in a portfolio file: their limits, their units and their error messages."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from gateway.config.secret import Secret
from gateway.core.client_limits import LONGEST_NAME
from gateway.core.durations import DURATION, duration_s
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import is_reserved

_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING_HEADERS = ("content-length", "transfer-encoding", "connection")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class FileModel(BaseModel):
    """A mapping of the portfolio file. It is immutable, converts no types and accepts no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _printable(value: str) -> str:
    if not value.isprintable():  # a line break would end a header; half a surrogate pair cannot be encoded
        raise PydanticCustomError("printable", "expected printable characters only")
    return value


def _header_name(value: str) -> str:
    """The name of a header (RFC 9110, 5.1). Headers that frame the body are refused."""
    if _HEADER.fullmatch(value) is None or value.lower() in _FRAMING_HEADERS:
        raise PydanticCustomError("header", "expected the name of a header, such as X-Api-Version")
    return value


def _origin(value: str) -> str:
    """`*`, or an origin as browsers write it (RFC 6454, 6.2), because origins are compared as texts."""
    match = _ORIGIN.fullmatch(value)
    if value != "*" and (match is None or match["port"] == _DEFAULT_PORTS.get(match["scheme"], "")):
        expected = "expected `*`, or scheme, host and any unusual port in lower case, such as https://app.example"
        raise PydanticCustomError("origin", "{expected}", {"expected": expected})
    return value


def _seconds(value: object) -> object:
    """A duration in seconds: a number stays, a text such as `1h` is read."""
    if not isinstance(value, str):
        return value
    if (seconds := duration_s(value)) is None:
        raise PydanticCustomError("duration", "expected seconds, or a duration such as 90s, 15m, 1h or 7d")
    return seconds


def _stored(value: object) -> object:
    """Python's 1 equals True."""
    if type(value) is bool or value == "full":
        return value
    raise PydanticKnownError("literal_error", {"expected": "true, false or full"})


def _free_name(value: str) -> str:
    """A model name that the gateway does not use for itself."""
    if is_reserved(value):
        raise PydanticCustomError("reserved", "`{name}` is the gateway's own name", {"name": value})
    return value


def _in_path(value: str) -> str:
    """No path can end in . or .. (RFC 3986, 5.2.4), so `/admin/teams/NAME` would be another one."""
    if value in (".", ".."):
        raise PydanticCustomError("access_name", "expected a name other than . and ..")
    return value


Name = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
# White space around a key, such as the line break that ends a block of YAML, is no part of it.
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_printable)]
AccessName = Annotated[  # of a key, team or tag
    str, Field(min_length=1, max_length=64), AfterValidator(_printable), AfterValidator(_in_path)
]
PolicyName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Origin = Annotated[str, AfterValidator(_origin)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]  # at most a year: event loops cannot wait for longer
Duration = Annotated[
    Seconds,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{DURATION}$"}]}
    ),
]
Stored = Annotated[Literal[True, False, "full"], BeforeValidator(_stored)]
Count = Annotated[int, Field(ge=1, le=10**12)]
ModelName = Annotated[
    str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_printable), AfterValidator(_free_name)
]
Probability = Annotated[float, Field(ge=0, le=1)]
# In the file a text; in memory a `Secret` or a `Path`. The text may be a reference that is resolved later.
SecretKey = Annotated[
    Secret,
    GetPydanticSchema(lambda _, handler: handler(Key)),
    WrapValidator(lambda value, check: value if isinstance(value, Secret) else Secret(check(value))),
    PlainSerializer(str),
]
FilePath = Annotated[
    Path,
    GetPydanticSchema(lambda _, handler: handler(Name)),
    WrapValidator(lambda value, check: value if isinstance(value, Path) else Path(check(value))),
    PlainSerializer(str),
]


def choices(known: Iterable[str]) -> JsonObject:
    """The JSON Schema of a list whose items are some of these texts."""
    return {"items": {"enum": list(known)}}
