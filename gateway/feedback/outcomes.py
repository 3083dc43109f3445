"""The outcomes in the database, for all processes and replicas. Knows no HTTP."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.json_types import objects_in
from gateway.core.vocabulary import Clock
from gateway.feedback.outcome import Answered, Outcome, priority
from gateway.store.database import Database
from gateway.store.transactions import reading, writing

MOST = 20_000  # outcomes of one model from one source
LOOK_UPS_S = (
    0.0,
    0.05,
    0.1,
    0.15,
    0.2,
    0.25,
    0.25,
)  # pauses before each look for a request: its record may not be written yet
MOST_WAITING = 64  # look-ups that wait at once in one process; further ones look once
KEYS_S = 86_400.0  # how long an idempotency key counts


class Outcomes:
    """The outcomes of a database. All methods raise StoreUnavailable if it cannot be used.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, database: Database, now: Clock = time.time) -> None:
        self._database = database
        self._now = now
        self._waiting = 0

    async def request(self, request_id: str, key_id: str | None) -> Answered | None:
        """The newest request with this id that a key has sent.

        Waits up to a second for the record of a request that is just over, here or in another gateway. Another key's request and
        one that never was give the same answer in the same time.

        Args:
            key_id: None: that a client without a key has sent.

        Raises:
            InvalidRequest: it has no answer that could be good or bad.
        """
        waits = self._waiting < MOST_WAITING
        self._waiting += 1
        try:
            for pause_s in LOOK_UPS_S if waits else LOOK_UPS_S[:1]:
                await asyncio.sleep(pause_s)
                async with reading(self._database, "the record") as connection:
                    from gateway.feedback import rows

                    row = await rows.request_of_key(connection, request_id, key_id)
                if row is not None:
                    return answered(row)
        finally:
            self._waiting -= 1
        return None

    async def put(
        self, outcome: Outcome, *, once: tuple[str, bytes] | None = None, answer: bytes = b""
    ) -> tuple[bytes, bytes] | None:
        """Writes an outcome in place of an earlier one of the same request and source.

        Args:
            once: an idempotency key, and the digest of what was sent with it.
            answer: kept with the idempotency key.

        Returns:
            Digest and answer of an earlier call with the same idempotency key, after which nothing is written.
        """
        row = _row(outcome, self._now())
        async with writing(self._database, "the record") as connection:
            from gateway.feedback import rows

            if once is not None:
                key, digest = once
                claimed = {"source": outcome.source, "idempotency_key": key, "digest": digest, "answer": answer}
                earlier = await rows.claim_key(connection, claimed | {"time": self._now()})
                if earlier is not None:
                    return bytes(earlier["digest"]), bytes(earlier["answer"])
            await rows.put_outcomes(connection, [row])
            await rows.keep_outcomes(connection, outcome.request.model, outcome.source, MOST)
        return None

    async def put_all(self, outcomes: Sequence[Outcome]) -> None:
        """Writes many outcomes in one transaction."""
        if not outcomes:
            return
        async with writing(self._database, "the record") as connection:
            from gateway.feedback import rows

            now = self._now()
            await rows.put_outcomes(connection, [_row(outcome, now) for outcome in outcomes])
            for model, source in sorted({(outcome.request.model, outcome.source) for outcome in outcomes}):
                await rows.keep_outcomes(connection, model, source, MOST)

    async def named(self, ids: Sequence[str]) -> dict[str, list[Answered]]:
        """The requests of each id, which is a request id or a trace id, the oldest first. Those without an answer are left out."""
        found: dict[str, list[Answered]] = {}
        async with reading(self._database, "the record") as connection:
            from gateway.feedback import rows

            named = await rows.requests_named(connection, ids)
        for row in named:
            try:
                request = answered(row)
            except InvalidRequest:
                continue
            for id in {row["trace_id"], row["request_id"]}.intersection(ids):
                found.setdefault(id, []).append(request)
        return found

    async def of_model(self, model: str, checkpoint: str, most: int) -> list[Mapping[str, Any]]:
        """Rows of at most so many outcomes of a model that something can be learned from, those of graders first.

        Args:
            checkpoint: the beginning of the id of the one that encoded the queries.
        """
        async with reading(self._database, "the record") as connection:
            from gateway.feedback import rows

            return [dict(row) for row in await rows.outcomes_of(connection, model, checkpoint, most)]

    async def written(self) -> dict[str, tuple[float, float]]:
        """When the outcomes of each model were written: the first and the last of them."""
        async with reading(self._database, "the record") as connection:
            from gateway.feedback import rows

            return {row["model"]: (row["first"], row["last"]) for row in await rows.writings(connection)}

    async def number_since(self, model: str, at: float) -> int:
        """How many of a model's outcomes were written from a time on."""
        async with reading(self._database, "the record") as connection:
            from gateway.feedback import rows

            return await rows.number_written(connection, model, at)

    async def compared(self, source: str) -> list[tuple[float, float]]:
        """Scores of a source, each with the exact score of the same answer."""
        async with reading(self._database, "the record") as connection:
            from gateway.feedback import rows

            return await rows.paired(connection, source)

    async def forget(self, before: float | None = None) -> None:
        """Deletes the idempotency keys that no longer count, and outcomes of old requests.

        Args:
            before: the requests before this time, seconds since the epoch; None: no outcomes.
        """
        async with writing(self._database, "the record") as connection:
            from gateway.feedback import rows

            await rows.forget_keys(connection, self._now() - KEYS_S)
            if before is not None:
                await rows.forget_outcomes(connection, before)


def answered(row: Any) -> Answered:
    """The answered request of a row of the record.

    Raises:
        InvalidRequest: it has no answer that could be good or bad.
    """
    name = row["request_id"]
    if row["api"] == "embeddings":
        raise InvalidRequest(
            f"Request `{name}` asked for embeddings; feedback is about answers of chat models.", param="request_id"
        )
    if row["served"] is None:
        raise InvalidRequest(f"No model answered request `{name}`.", param="request_id")
    parts = row["parts"]
    others = {part["model"] for part in objects_in(orjson.loads(parts) if isinstance(parts, str) else parts)}
    alone = row["ensemble"] is None and not others - {
        row["served"]
    }  # a vote picks right answers more often than wrong ones
    encoding, surface = (row["encoding"], row["surface"]) if alone else (None, None)
    return Answered(
        name,
        row["served"],
        row["deployment"],
        row["checkpoint"],
        None if encoding is None else bytes(encoding),
        None if surface is None else bytes(surface),
        row["time"],
    )


def _row(outcome: Outcome, now: float) -> dict[str, object]:
    request = outcome.request
    row: dict[str, object] = {"request_id": request.request_id, "source": outcome.source, "kind": outcome.kind}
    row |= {"model": request.model, "deployment": request.deployment, "checkpoint": request.checkpoint}
    row |= {"encoding": request.encoding, "surface": request.surface, "time": request.time, "written": now}
    row |= {"score": outcome.score, "reliability": outcome.reliability}
    row |= {"comment": outcome.comment, "expected": outcome.expected}
    return row | {"priority": priority(request.request_id, outcome.source, request.time)}
