"""The parameters of the page of requests <-> which requests are meant, and where the page begins. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gateway.core.errors import InvalidRequest
from gateway.http.admin_values import asked_time

if TYPE_CHECKING:  # takes long to import
    from gateway.record.pages import Cursor
    from gateway.record.reading import RequestFilter

MAX_CHARS = 256  # of a parameter
MOST_SHOWN = 1_000  # ids that a page names when it asks for what is new
TEXTS = ("key", "model", "policy", "conversation", "since", "until", "words")
MARKS = ("errors", "stand_ins", "probes")
OPERATORS = ("key", "probes")
CONVERSATIONS = ("kept", "switched")


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """What a visitor asks for.

    Attributes:
        values: the filters as they were given, by name: those of `TEXTS` and `MARKS` that are set.
        before, after: where a page of older, or of newer requests begins.
    """

    values: Mapping[str, str]
    before: "Cursor | None" = None
    after: "Cursor | None" = None

    @property
    def address(self) -> str:
        """The address of the first page with these filters."""
        return "/ui/requests" + (f"?{urlencode(self.values)}" if self.values else "")

    def at(self, name: str, cursor: "Cursor") -> str:
        """The address of the page that begins before or after a place.

        Args:
            name: "before" or "after".
        """
        return "/ui/requests?" + urlencode({**self.values, name: f"{cursor.time!r},{cursor.id}"})

    def without(self, name: str) -> str:
        """The address of the first page without one filter."""
        return replace(self, values={one: value for one, value in self.values.items() if one != name}).address

    def condition(self, owner: str | None, now: float) -> "RequestFilter":
        """The requests that are meant.

        Args:
            owner: the id of the only key whose requests may be shown; None: all.
            now: seconds since the epoch.

        Raises:
            InvalidRequest: a time is none.
        """
        from gateway.record.reading import RequestFilter

        given = self.values.get
        times = {
            name: None if (text := given(name)) is None else asked_time(name, text, now) for name in ("since", "until")
        }
        return RequestFilter(
            since=times["since"],
            until=times["until"],
            errors="errors" in self.values,
            stand_ins="stand_ins" in self.values,
            probes="probes" in self.values and owner is None,
            served=given("model"),
            policy=given("policy"),
            conversation=given("conversation"),
            words=given("words"),
            key_id=given("key") if owner is None else owner,
        )


def read_query(parameters: Mapping[str, str], *, operator: bool = True) -> RequestQuery:
    """
    Args:
        operator: False: filters that are for the operator only are left out.

    Raises:
        InvalidRequest: a parameter is too long, or is no place of the record.
    """
    values = {}
    for name in TEXTS:
        if value := parameters.get(name, "").strip():
            if len(value) > MAX_CHARS or "\0" in value:
                raise InvalidRequest(f"`{name}` has at most {MAX_CHARS} characters.", param=name)
            values[name] = value
    if values.get("conversation", "kept") not in CONVERSATIONS:
        raise InvalidRequest("`conversation` is `kept` or `switched`.", param="conversation")
    values |= {name: "yes" for name in MARKS if parameters.get(name)}
    if not operator:
        values = {name: value for name, value in values.items() if name not in OPERATORS}
    return RequestQuery(values, _cursor(parameters, "before"), _cursor(parameters, "after"))


def _cursor(parameters: Mapping[str, str], name: str) -> "Cursor | None":
    text = parameters.get(name)
    if text is None:
        return None
    from gateway.record.pages import Cursor

    time, comma, id = text.partition(",")
    try:
        cursor = Cursor(float(time), number_of(id))
    except ValueError:
        cursor = None
    if cursor is None or not comma or not 0 <= cursor.time < 1e12:
        raise InvalidRequest(f"`{name}` is a time and an id, as in the links of this page.", param=name)
    return cursor


def number_of(text: str) -> int:
    """The number of a row.

    Raises:
        ValueError: the text is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(text[:20])
    return int(text)


def shown_rows(parameters: Mapping[str, str]) -> tuple[int, frozenset[int], float]:
    """What a page shows that asks for what is new: the highest id of the record then, the ids that it shows, and the time of the
    oldest of them, 0 if it shows all.

    Raises:
        InvalidRequest: a parameter is wrong.
    """
    try:
        shown = frozenset(map(number_of, filter(None, parameters.get("shown", "").split(",")[:MOST_SHOWN])))
        since = float(parameters.get("from", "0"))
        return number_of(parameters["new"]), shown, since
    except ValueError as exc:
        raise InvalidRequest("`new`, `shown` and `from` are numbers, as the page of requests sends them.") from exc
