"""P(correct) for the requests of one event loop: those that are decided in the same turn of the loop are predicted together.

Serving one query costs as much for each call of numpy, and for reading the matrices, as for its arithmetic. So each of sixteen
queries at once takes a fifth of the time. A request waits for no other one: a turn takes what has arrived.
"""

import asyncio
from typing import TypeAlias

import numpy as np

from gateway.routing.encoder_queue import Encoding
from router.model.model_table import ModelTable, TableScores

MOST_QUERIES = 16  # at once; more of them would gain little, and delay other work
MOST_CELLS = 16_384  # queries times models at once: with many models the arithmetic is all that counts

_Waiting: TypeAlias = tuple[ModelTable, Encoding, "asyncio.Future[TableScores]"]


class PredictionQueue:
    """Used from one event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    async def predict(self, table: ModelTable, q: Encoding | None) -> TableScores:
        """The predictions for one query, as `ModelTable.predict` gives them, up to rounding."""
        if q is None:
            return table.predict(None)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._predict_some, loop)
        result: asyncio.Future[TableScores] = loop.create_future()
        self._waiting.append((table, q, result))
        return await result

    def _predict_some(self, loop: asyncio.AbstractEventLoop) -> None:
        """Predicts for the queries that have waited longest, and have one table in common; the others have the next turn."""
        waiting = [one for one in self._waiting if not one[2].done()]  # else its request was cancelled
        if waiting:
            table = waiting[0][0]
            most = max(1, min(MOST_QUERIES, MOST_CELLS // table.size))
            now = [one for one in waiting if one[0] is table][:most]
            waiting = [one for one in waiting if not any(one is other for other in now)]
            _answer(table, now)
        self._waiting = waiting
        if waiting:
            loop.call_soon(self._predict_some, loop)


def _answer(table: ModelTable, asked: list[_Waiting]) -> None:
    try:
        found = table.predict_all(asked[0][1] if len(asked) == 1 else np.concatenate([q for _, q, _ in asked]))
    except Exception as exc:  # the requests get it
        for _, _, result in asked:
            result.set_exception(exc)
        return
    for (_, _, result), scores in zip(asked, found, strict=True):
        result.set_result(scores)
