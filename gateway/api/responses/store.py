"""The store for finished responses, so that `previous_response_id` and item references can be resolved.

Each response is stored with its own input and output only. The conversation before it is read along the chain of previous ids, so
a long conversation is stored once. The responses of a chain expire together. If a response is deleted, later responses of its chain
can still be read but not continued.

Several processes may share the database. If it fails, responses are not stored; requests do not fail.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gateway.api.responses.store_rows import (
    StoredResponse,
    charge_values,
    items_with_ids,
    response_json,
    response_row,
    stored_response,
)
from gateway.api.responses.types import Item, Response
from gateway.bodies.json_cost import BYTES_PER_BYTE, MAX_CONTAINERS
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.config.settings import Settings
from gateway.core.errors import InvalidRequest
from gateway.core.safe_logging import log_exception
from gateway.store.database import Database, DatabaseUnavailable, is_refused_value

if TYPE_CHECKING:
    from sqlalchemy import TextClause

log = logging.getLogger("locus.responses")

PRUNE_S = 60.0
PRUNE_SHARE = 20  # after writing a twentieth of all bytes, the store is pruned at once
LONGEST_CHAIN = 10_000  # responses; a longer conversation fits no model's context window
MAX_REFERENCES = 2_000  # item references in one request


_SETTINGS = Settings()  # the defaults of a portfolio file


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The limits of the store. A client, identified by its API key, is called an owner here.

    Attributes:
        retention_s: a conversation is deleted when its last response is older than this.
        responses: the most responses of all owners. Above it, the owners with the most lose their oldest conversations.
        bytes: the most bytes of JSON of all owners; as `responses`.
        conversation_bytes: the most bytes of JSON of one conversation that a request can continue, and of all responses with
            items that a request refers to.
    """

    retention_s: float = _SETTINGS.response_retention
    responses: int = 100_000
    bytes: int = 1 << 30
    conversation_bytes: int = _SETTINGS.max_body_bytes


class ResponseStore:
    """Stores responses. Use it as an async context manager.

    Args:
        database: None stores nothing.
        clock: seconds since the epoch.
        leads: False while another process of this database deletes old conversations regularly.
    """

    def __init__(
        self,
        database: Database | None,
        limits: StoreLimits | None = None,
        clock: Callable[[], float] = time.time,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._database = database
        self._failing: set[str] = set()
        self._limits = limits or StoreLimits()
        self._clock = clock
        self._leads = leads
        self._pruner: asyncio.Task[None] | None = None
        self._unpruned_bytes = 0  # written since the store was last pruned

    @property
    def keeps(self) -> bool:
        """True if responses are stored at all."""
        return self._database is not None

    async def __aenter__(self) -> "ResponseStore":
        if self._database is not None:
            self._pruner = asyncio.create_task(self._prune_regularly(self._database), name="response store")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._pruner is not None:
            self._pruner.cancel()
            await asyncio.wait([self._pruner])

    async def save(
        self,
        response: Response,
        own_items: Iterable[Item],
        previous_id: str | None,
        key_digest: str,
        session: str | None,
    ) -> None:
        """Store a finished response if it has an id. Never fails.

        Args:
            own_items: its input items, without the conversation before it.
            previous_id: the id of the response that it continues.
        """
        response_id = response.get("id")
        database = self._database
        if database is None or not isinstance(response_id, str):
            return
        row = await asyncio.to_thread(response_row, response, list(own_items))
        values = {
            "owner": key_digest,
            "id": response_id,
            "previous": previous_id,
            "session": session,
            "bytes": row.size,
            "input": row.input,
            "output": row.output,
            "response": row.response,
        }
        with self._logged_failures(database, "written"):
            async with database.begin() as connection:
                from gateway.api.responses import store_tables

                item_ids = {_storable(item) for item in row.item_ids}
                await store_tables.add(connection, _all_storable(values), item_ids, self._clock())
        self._unpruned_bytes += row.size
        if self._unpruned_bytes > self._limits.bytes // PRUNE_SHARE:
            await self.prune()

    async def load(self, response_id: str, key_digest: str) -> StoredResponse | None:
        """Return a stored response with its conversation; None if it is unknown, expired or belongs to another owner.

        Raises:
            InvalidRequest: the conversation is longer than a request can continue.
            Overloaded: there is not enough memory for it now.
        """
        if self._database is None:
            return None
        values = {"owner": key_digest, "id": response_id, "oldest": self._oldest(), "most": LONGEST_CHAIN}
        links = await self._select("CONVERSATION", values)
        ids = list(dict.fromkeys(link_id for link_id, *_ in links))  # from the response back to the first one
        if not ids:
            return None
        size = sum(size for *_, size in links[: len(ids)])
        if len(ids) > LONGEST_CHAIN or size > self._limits.conversation_bytes:
            raise self._too_long("The conversation", "previous_response_id")
        charge(BYTES_PER_BYTE * size)
        parts = await self._select("PARTS", {"id": response_id, "owner": key_digest, "ids": ids})
        rows = {row_id: row for row_id, *row in parts}
        if response_id not in rows:
            return None
        response = rows[response_id][2]
        is_complete = links[-1][1] is None and len(rows) == len(ids)
        blobs = [rows[row_id][:2] for row_id in reversed(ids) if row_id in rows]
        if not await offloaded(size, charge_values, [blob for pair in blobs for blob in pair]):
            raise self._too_long("The conversation", "previous_response_id")
        return await offloaded(size, stored_response, response_id, links[0][2], blobs, response, is_complete)

    async def response(self, response_id: str, key_digest: str) -> bytes | None:
        """Return the JSON of a stored Response object, without its conversation; None as for `load`."""
        values = {"owner": key_digest, "id": response_id, "oldest": self._oldest()}
        rows = await self._select("RESPONSE", values)
        return response_json(*rows[0]) if rows else None

    async def items(self, item_ids: Iterable[str], key_digest: str) -> dict[str, Item]:
        """Return the stored output items with these ids, by their ids.

        Raises:
            InvalidRequest: the responses that contain them are too large together.
            Overloaded: there is not enough memory for them now.
        """
        wanted = sorted(item_ids)[:MAX_REFERENCES]
        if self._database is None or not wanted:
            return {}
        values = {"owner": key_digest, "oldest": self._oldest(), "items": wanted}
        sizes = await self._select("SIZES_WITH_ITEMS", values)
        size = sum(size for _, size in sizes)
        what = "The responses with the items that are referred to"
        if size > self._limits.conversation_bytes:
            raise self._too_long(what, "input")
        charge(BYTES_PER_BYTE * size)
        rows = await self._select("OUTPUTS_WITH_ITEMS", values)
        outputs = [output for _, output in rows]
        if not await offloaded(size, charge_values, outputs):
            raise self._too_long(what, "input")
        return await offloaded(size, items_with_ids, outputs, frozenset(wanted))

    async def delete(self, response_id: str, key_digest: str) -> bool:
        """Delete a response; return False if there is none."""
        if self._database is None:
            return False
        deleted = False
        with self._logged_failures(self._database, "written"):
            async with self._database.begin() as connection:
                from gateway.api.responses import store_tables

                deleted = await store_tables.forget(connection, key_digest, _storable(response_id))
        return deleted

    async def prune(self) -> None:
        """Delete expired conversations, then the oldest ones of the largest owners until the limits are met."""
        if self._database is None:
            return
        self._unpruned_bytes = 0
        with self._logged_failures(self._database, "written"):
            async with self._database.begin() as connection:
                from gateway.api.responses import store_tables

                await store_tables.prune(connection, self._oldest(), self._limits.responses, self._limits.bytes)

    async def _select(self, query: str, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a query of `store_tables`; none if the database cannot be read."""
        if self._database is None:
            return []
        with self._logged_failures(self._database, "read"):
            async with self._database.read() as connection:
                from gateway.api.responses import store_tables

                statement: TextClause = getattr(store_tables, query)
                return list((await connection.execute(statement, _all_storable(values))).all())
        return []

    @contextlib.contextmanager
    def _logged_failures(self, database: Database, action: Literal["read", "written"]) -> Iterator[None]:
        """Suppress failures of the database in the block. The first of a series is logged, and the end of the series."""
        try:
            yield
        except DatabaseUnavailable as exc:
            if action not in self._failing:
                self._failing.add(action)
                log.error("stored responses cannot be %s in %s: %s", action, database.location, exc)
            return
        except Exception as exc:
            if not is_refused_value(exc):
                raise
            log_exception(log, "a response cannot be stored", exc)
            return
        if action in self._failing:
            self._failing.discard(action)
            log.info("stored responses are %s in %s again", action, database.location)

    async def _prune_regularly(self, database: Database) -> None:
        while True:
            file = database.location.file
            # The file is created when the first response is stored.
            if self._leads() and (file is None or file.exists()):
                await self.prune()
            await asyncio.sleep(min(PRUNE_S, self._limits.retention_s))

    def _too_long(self, what: str, param: str) -> InvalidRequest:
        limit = self._limits.conversation_bytes / (1 << 20)
        message = (
            f"{what} would be longer than this gateway reads ({limit:.0f} MiB, {MAX_CONTAINERS} objects and lists); send what is"
            " needed of it as `input`."
        )
        return InvalidRequest(message, param=param)

    def _oldest(self) -> float:
        """The time of the last use before which a conversation is expired."""
        return self._clock() - self._limits.retention_s


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL in a text."""
    return text.replace("\0", "\ufffd")


def _all_storable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _storable(value) if isinstance(value, str) else value for name, value in values.items()}
