"""Pages of the record, the newest request first, and what is new since a page was read.

No page reads the whole record. An index gives the next ids that may be meant, in order; their rows are read in growing groups until
the page is full, or until `MOST_LOOKED` of them were looked at. Then the page says how far it has got, and the next one goes on.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Row,
    Select,
    Text,
    TextClause,
    and_,
    func,
    literal_column,
    select,
    text,
    tuple_,
)

from gateway.record.reading import RequestFilter
from gateway.store.tables import FAILED, REQUESTS, STOOD_IN

PAGE = 50
MOST_LOOKED = 3_000  # requests for one page
MOST_SEARCHED = 1_000  # of them if their prompts are searched
LATE = 100  # a row with a lower id may be committed after one with a higher id, by another gateway
_FIRST, _LATER = 100, 1_000  # how many are looked at first, and then at once
_C = REQUESTS.c
_LISTED = (
    *(
        _C.id,
        _C.request_id,
        _C.time,
        _C.key_id,
        _C.key_name,
        _C.requested,
        _C.policy,
        _C.chosen,
        _C.served,
        _C.p_correct,
    ),
    *(_C.status, _C.error, _C.stream, _C.prompt_tokens, _C.completion_tokens, _C.cost_nusd, _C.latency_ms, _C.cache),
    *(_C.first_token_ms, _C.conversation, _C.failover, _C.ensemble, _C.simulated, _C.api, _C.near_limit),
)
_TIME: ColumnElement[float] = literal_column("time", Double())
_ID: ColumnElement[int] = literal_column("id", BigInteger())
Listed = dict[str, Any]


class Cursor(NamedTuple):
    """A place in the record: next to the request with this time and id."""

    time: float
    id: int


class Page(NamedTuple):
    """Some requests.

    Attributes:
        rows: the newest first; some columns of each, JSON parsed.
        newer, older: where the pages before and after this one begin; None: there is none.
        looked_until: requests that may be meant were only looked at down to this time, or up to it; None: the page is complete.
    """

    rows: list[Listed]
    newer: Cursor | None
    older: Cursor | None
    looked_until: float | None = None


def page_of(
    connection: Connection, which: RequestFilter, at: Cursor | None = None, *, newer: bool = False, size: int = PAGE
) -> Page:
    """A page of requests.

    Args:
        at: where it begins; None: at the newest request.
        newer: it goes from there to newer requests, not to older ones.
    """
    found: list[Listed] = []
    last: Cursor | None = None
    for looked in _looked_at(connection, which, at, newer=newer):
        if not looked:
            last = None
            break
        found += _rows(connection, which, [one.id for one in looked], newer=newer)
        last = Cursor(*looked[-1])
        if len(found) > size:
            break
    more = len(found) > size
    found = found[:size]
    bounded = None if more else last
    onward = _place(found[-1]) if more else bounded
    back: Cursor | None = None
    if at is not None:  # an empty page may begin at a request of the page before it, which this one leads back to
        back = _place(found[0]) if found else at._replace(id=at.id + (1 if newer else -1))
    rows = found[::-1] if newer else found
    until = None if bounded is None else bounded.time
    return Page(rows, onward, back, until) if newer else Page(rows, back, onward, until)


def _looked_at(
    connection: Connection, which: RequestFilter, at: Cursor | None, *, newer: bool
) -> Iterator[Sequence[Row[float, int]]]:
    """Groups of times and ids of requests that may be meant, in order; an empty group at their end."""
    most = MOST_LOOKED if which.words is None else MOST_SEARCHED
    sqlite = connection.dialect.name == "sqlite"
    looked, group = 0, _FIRST
    while looked < most:
        number = min(group, most - looked)
        rows = connection.execute(candidates(which, at, newer=newer, sqlite=sqlite).limit(number)).all()
        if rows:
            yield rows
        if len(rows) < number:
            yield []
            return
        at, looked, group = Cursor(*rows[-1]), looked + number, _LATER


def candidates(which: RequestFilter, at: Cursor | None, *, newer: bool = False, sqlite: bool) -> Select[float, int]:
    """The query for times and ids of requests that may be meant: those that one index has, in its order.

    Args:
        sqlite: for SQLite, whose planner has no statistics and is told the index.
    """
    index, condition = _index_of(which)
    parts: list[ColumnElement[bool] | TextClause] = [] if condition is None else [condition]
    if which.since is not None:
        parts.append(which.since <= _TIME)
    if which.until is not None:
        parts.append(which.until > _TIME)
    if at is not None:
        place = tuple_(_TIME, _ID)
        parts.append(place > tuple_(*at) if newer else place < tuple_(*at))
    query = select(_TIME, _ID).select_from(text(f"requests INDEXED BY {index}" if sqlite else "requests"))
    query = query.where(and_(True, *parts))
    return query.order_by(_TIME, _ID) if newer else query.order_by(_TIME.desc(), _ID.desc())


def _index_of(which: RequestFilter) -> tuple[str, ColumnElement[bool] | TextClause | None]:
    """The index that has the fewest requests beside those that are meant, and what holds for all that it gives."""
    if which.key_id is not None:
        return "requests_by_key", literal_column("key_id", Text()) == which.key_id
    if which.stand_ins:
        return "requests_of_stand_ins", text(STOOD_IN)
    if which.errors:
        return "requests_with_errors", text(f"({FAILED})")
    if which.served is not None:
        return "requests_by_served", literal_column("served", Text()) == which.served
    return "requests_by_time", None


def _rows(connection: Connection, which: RequestFilter, ids: Sequence[int], *, newer: bool = False) -> list[Listed]:
    """Those of some requests that are meant, in order. The limit keeps planners from any other way than by the ids."""
    columns = _LISTED if which.words is None else (*_LISTED, _C.prompt)
    some = select(*columns).where(_C.id.in_(ids)).limit(len(ids)).subquery()
    listed = [some.c[column.name] for column in _LISTED]
    found = connection.execute(select(*listed).where(which.condition(some.c))).mappings()
    return sorted((dict(row) for row in found), key=_place, reverse=not newer)


def _place(row: Listed) -> Cursor:
    return Cursor(row["time"], row["id"])


def last_id(connection: Connection) -> int:
    """The highest id of the record; 0 if it is empty."""
    return int(connection.execute(select(func.max(_C.id))).scalar() or 0)


def new_of(
    connection: Connection, which: RequestFilter, after: int, shown: Collection[int], shown_from: float
) -> tuple[list[Listed], bool]:
    """The requests that are meant and were written since a page was read, the newest first: at most `PAGE`, and if there are more.

    Args:
        after: the highest id of the record then.
        shown: ids that the page shows.
        shown_from: time of the oldest of them; 0 if the page shows all.
    """
    last = select(_C.id).where(_C.id > after - LATE).order_by(_C.id.desc()).limit(LATE + MOST_LOOKED)
    unseen = [id for id in connection.execute(last).scalars() if id not in shown]
    rows: list[Listed] = []
    for begin in range(0, len(unseen), _LATER):
        found = _rows(connection, which, unseen[begin : begin + _LATER])
        rows += [row for row in found if row["id"] > after or row["time"] > shown_from]
        if len(rows) > PAGE:
            break
    return rows[:PAGE], len(rows) > PAGE
