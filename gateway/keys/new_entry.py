"""Checks a key or team that is made or changed at run time, as the portfolio file's are checked."""

from typing import TypeVar

from pydantic import ValidationError

from gateway.config.access import AccessEntry
from gateway.config.access_reader import problems_of
from gateway.config.field_types import FileModel
from gateway.config.portfolio import Portfolio
from gateway.config.yaml_reader import place_text
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject

Entry = TypeVar("Entry", bound=AccessEntry)
Fields = TypeVar("Fields", bound=FileModel)


def checked_entry(kind: type[Entry], fields: JsonObject, portfolio: Portfolio) -> Entry:
    """The fields as an entry.

    Raises:
        InvalidRequest: a field is unknown or wrong, or names what the portfolio does not have; `param` is the field.
    """
    entry = checked(kind, fields)
    for place, problem in problems_of(entry, portfolio.model_names, portfolio.policies):
        raise InvalidRequest(f"`{place_text(place)}`: {problem}.", param=place_text(place))
    return entry


def checked(kind: type[Fields], fields: JsonObject) -> Fields:
    """The fields of a request as a mapping of the portfolio file.

    Raises:
        InvalidRequest: a field is unknown or wrong; `param` is the field.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        where = place_text(error["loc"])
        raise InvalidRequest(f"`{where}`: {error['msg']}.", param=where) from None
