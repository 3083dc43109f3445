"""A store of limits in memory that counts how often it is asked."""

from collections.abc import Sequence

from gateway.limits.engine import Answer, Ask
from gateway.limits.memory import MemoryEngine


class Counting(MemoryEngine):
    asks = 0

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        self.asks += 1
        return await super().exchange(asks)
