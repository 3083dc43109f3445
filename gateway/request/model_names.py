"""Names of models and policies in requests: which are names at all, and what a wrong one was probably meant to be."""

import difflib
import re
from collections.abc import Collection
from typing import Any

from gateway.core.client_limits import LONGEST_NAME
from gateway.core.errors import InvalidRequest, UnknownModel
from gateway.core.validation import expected

_COMPARED = 64  # characters; more would cost time and tell no more
_TO_COMPARE = 150  # names
_UNDATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


def model_name(fields: dict[str, Any], what: str) -> str:
    """The field `model` of a request.

    Args:
        what: it must be, for the client.

    Raises:
        InvalidRequest: it is missing, no text, or too long for a name, which would fill records and logs.
    """
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(expected("model", what, fields), param="model")
    return checked_name(name, "model")


def checked_name(name: str, param: str) -> str:
    """
    Raises:
        InvalidRequest: too long for a name.
    """
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(f"`{param}` has a name of more than {LONGEST_NAME} characters.", param=param)
    return name


def unknown_model(name: str, known: Collection[str], more: str = "", param: str = "model") -> UnknownModel:
    """The error for a model that the portfolio lacks.

    Args:
        known: what could have been meant.
        more: a sentence behind it.
    """
    checked_name(name, param)
    told = f"The model `{name}` is not in the portfolio{did_you_mean(name, known)} {more}".rstrip()
    return UnknownModel(told, param=param)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`; did you mean `gpt-4o`?` for one to three known names that are close, else a full stop."""
    close = similar_names(name, known)
    return f"; did you mean {' or '.join(f'`{other}`' for other in close)}?" if close else "."


def similar_names(name: str, known: Collection[str], most: int = 3) -> list[str]:
    """Known names that are close to a name, the closest first: without a maker's prefix and a date they may be the same.

    Compares the first characters of the first few hundred, so that its time is bounded.
    """
    wanted = _bare(name)
    bare: dict[str, str] = {}
    for other in list(known)[:_TO_COMPARE]:
        bare.setdefault(_bare(other), other)
    same = [other for key, other in bare.items() if key == wanted]
    if same:
        return same[:1]
    close = difflib.get_close_matches(wanted, list(bare), n=most, cutoff=0.75)
    if not close and len(wanted) >= 3:
        close = [key for key in bare if key.startswith(f"{wanted}-") or wanted.startswith(f"{key}-")][:most]
    return [bare[key] for key in close]


def _bare(name: str) -> str:
    """`_bare("openai/GPT-4o-2024-08-06")` is `gpt-4o`."""
    return _UNDATED.sub("", name.lower().rpartition("/")[2][:_COMPARED])
