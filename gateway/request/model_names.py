"""Checks the model names in requests, and suggests similar names for an unknown one."""

import difflib
import re
from collections.abc import Collection

from gateway.config.access import Allowed
from gateway.core.client_limits import LONGEST_NAME
from gateway.core.errors import InvalidRequest, ModelNotAllowed, UnknownModel
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected

_COMPARED_CHARS = 64  # of each name; bounds the time
_COMPARED_NAMES = 150
_SHOWN_NAMES = 10  # in a message
_UNDATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


def model_name(fields: JsonObject, what: str) -> str:
    """Return the field `model` of a request.

    Args:
        what: describes valid values in the error message.

    Raises:
        InvalidRequest: the name is missing, no string, or too long.
    """
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(expected("model", what, fields), param="model")
    return checked_name(name, "model")


def checked_name(name: str, param: str) -> str:
    """Return a name unchanged if it is not too long for records and logs.

    Raises:
        InvalidRequest: the name is too long.
    """
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(f"`{param}` has a name of more than {LONGEST_NAME} characters.", param=param)
    return name


def unknown_model(name: str, known: Collection[str], more: str = "", param: str = "model") -> UnknownModel:
    """Return the error for a model that the portfolio does not contain.

    Args:
        known: the names from which similar ones are suggested.
        more: a sentence to add to the message.
    """
    checked_name(name, param)
    message = f"The model `{name}` is not in the portfolio{did_you_mean(name, known)} {more}".rstrip()
    return UnknownModel(message, param=param)


def not_allowed(name: str, allowed: Allowed, param: str = "model") -> ModelNotAllowed:
    """Return the error for a model that the key of the request may not use."""
    names = sorted(allowed.models or ())
    shown = ", ".join(f"`{other}`" for other in names[:_SHOWN_NAMES]) or "none"
    more = "" if len(names) <= _SHOWN_NAMES else f" and {len(names) - _SHOWN_NAMES} more"
    return ModelNotAllowed(f"The key may not use the model `{name}`. Its models: {shown}{more}.", param=param)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return `; did you mean `gpt-4o`?` with one to three similar names; a full stop if no name is similar."""
    close = similar_names(name, known)
    return f"; did you mean {' or '.join(f'`{other}`' for other in close)}?" if close else "."


def similar_names(name: str, known: Collection[str], limit: int = 3) -> list[str]:
    """Return known names that are similar to a name, the most similar first.

    If a known name differs only in its provider prefix, date or case, it is the only result. At most 64 characters of 150 names
    are compared, so that the time is bounded.
    """
    normalized = _normalized(name)
    by_normalized: dict[str, str] = {}
    for other in list(known)[:_COMPARED_NAMES]:
        by_normalized.setdefault(_normalized(other), other)
    same = [other for key, other in by_normalized.items() if key == normalized]
    if same:
        return same[:1]
    close = difflib.get_close_matches(normalized, list(by_normalized), n=limit, cutoff=0.75)
    if not close and len(normalized) >= 3:
        close = [key for key in by_normalized if key.startswith(f"{normalized}-") or normalized.startswith(f"{key}-")][
            :limit
        ]
    return [by_normalized[key] for key in close]


def _normalized(name: str) -> str:
    """Return a name without provider prefix and date: `_normalized("openai/GPT-4o-2024-08-06")` is `gpt-4o`."""
    return _UNDATED.sub("", name.lower().rpartition("/")[2][:_COMPARED_CHARS])
