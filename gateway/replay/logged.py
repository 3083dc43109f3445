"""The requests of the record, as replay reads them: from the database, a chunk at a time. `gateway.replay.parquet` reads files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from gateway.store.outcome_tables import OUTCOMES
from gateway.store.tables import REQUESTS

CHUNK = 4_096
GRADES = (
    "exact",
    "judge",
)  # kinds of outcome whose choice of requests does not depend on the answer, unlike clients' feedback


class LoggedRequest(NamedTuple):
    """One request of the record; the columns of the table `requests` of these names, and some more.

    Attributes:
        needs: the parsed object.
        has_prompt: the text of the request is stored.
        ensemble: several models were asked.
        score: of its answer, by graders, the mean in [0, 1]; None if it was not graded.
    """

    id: int
    time: float
    request_id: str
    policy: str | None
    chosen: str | None
    served: str | None
    p_correct: float | None
    predicted_loss: float | None
    error: str | None
    cache: str | None
    conversation: str | None
    propensity: float | None
    checkpoint: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    cost_nusd: int | None
    saved_nusd: int | None
    latency_ms: float | None
    api: str | None
    needs: dict[str, Any] | None
    encoding: bytes | None
    surface: bytes | None
    has_prompt: bool
    ensemble: bool
    score: float | None


class Answer(NamedTuple):
    """What an answered request says of how long and how fast the answers of its model are."""

    served: str
    completion_tokens: int | None
    latency_ms: float | None


class Log(Protocol):
    """Logged requests of a period. Both methods may be called more than once."""

    def requests(self) -> Iterator[Sequence[LoggedRequest]]:
        """Chunks of requests."""

    def answers(self) -> Iterator[Sequence[Answer]]:
        """Chunks of answers that models gave to clients, without those of ensembles, whose time and tokens are of several."""


class DatabaseLog:
    """The requests of a database.

    Args:
        connection: reads only, in one transaction.
        since, until: seconds since the epoch; None: no limit.
        most: only the newest so many requests are read; None: all.

    Attributes:
        cut: the period has more requests than `most`.
    """

    def __init__(
        self, connection: Connection, since: float | None = None, until: float | None = None, most: int | None = None
    ) -> None:
        self._connection = connection
        c = REQUESTS.c
        parts: list[ColumnElement[bool]] = [or_(c.api.is_(None), c.api.not_in(("probe", "embeddings")))]
        parts += [] if since is None else [c.time >= since]
        parts += [] if until is None else [c.time < until]
        self.cut = False
        if most is not None:
            newest = select(c.id).where(*parts).order_by(c.id.desc()).offset(most).limit(1)
            before = connection.execute(newest).scalar()
            self.cut = before is not None
            parts += [] if before is None else [c.id > before]
        self._where = and_(True, *parts)

    def requests(self) -> Iterator[Sequence[LoggedRequest]]:
        """See `Log`."""
        for rows in self._pages(logged_columns()):
            yield [LoggedRequest(*row) for row in rows]

    def answers(self) -> Iterator[Sequence[Answer]]:
        """See `Log`."""
        c = REQUESTS.c
        by_one = and_(c.cache.is_distinct_from("hit"), c.ensemble.is_(None))
        answered = and_(c.served.is_not(None), c.error.is_(None), by_one)
        for rows in self._pages([c.id, c.served, c.completion_tokens, c.latency_ms], answered):
            yield [Answer(*row[1:]) for row in rows]

    def _pages(
        self, columns: Sequence[ColumnElement[Any]], condition: ColumnElement[bool] | None = None
    ) -> Iterator[Sequence[Any]]:
        """Pages of rows by id, which is the first column."""
        after = 0
        query: Select[Any] = select(*columns).where(self._where).order_by(REQUESTS.c.id).limit(CHUNK)
        if condition is not None:
            query = query.where(condition)
        while rows := self._connection.execute(query.where(REQUESTS.c.id > after)).all():
            yield rows
            after = rows[-1][0]


def logged_columns() -> list[ColumnElement[Any]]:
    """The columns of `LoggedRequest`, in order."""
    c, o = REQUESTS.c, OUTCOMES.c
    score = select(func.avg(o.score)).where(
        o.request_id == c.request_id, o.model == c.served, o.kind.in_(GRADES), o.time == c.time
    )
    made: Mapping[str, ColumnElement[Any]] = {
        "has_prompt": c.prompt.is_not(None).label("has_prompt"),
        "ensemble": c.ensemble.is_not(None).label("ensemble"),
        "score": score.scalar_subquery().label("score"),
    }
    return [made[name] if name in made else c[name] for name in LoggedRequest._fields]


class Stored(NamedTuple):
    """What the record has of a request beside its numbers; the columns of the table `requests` of these names.

    Attributes:
        prompt, needs, metadata, tags: as parsed JSON.
    """

    request_id: str
    policy: str | None
    served: str
    prompt: object
    key_name: str | None
    tags: list[str] | None
    metadata: dict[str, str] | None
    needs: dict[str, Any] | None


def stored(connection: Connection, ids: Sequence[int]) -> dict[int, Stored]:
    """Texts and labels of answered requests, by the ids of their rows."""
    found: dict[int, Stored] = {}
    columns = [REQUESTS.c[name] for name in Stored._fields]
    for start in range(0, len(ids), 500):  # SQLite limits the variables of one statement
        query = select(REQUESTS.c.id, *columns).where(REQUESTS.c.id.in_(ids[start : start + 500]))
        found.update({row[0]: Stored(*row[1:]) for row in connection.execute(query)})
    return found
