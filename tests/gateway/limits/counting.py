"""A store of limits in memory that counts how often it is asked."""

from collections.abc import Collection, Sequence

from gateway.limits.engine import Answer, Ask, Swept
from gateway.limits.memory import MemoryEngine


class Counting(MemoryEngine):
    asks = 0
    sweeps = 0

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        self.asks += 1
        return await super().exchange(asks)

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        self.sweeps += 1
        return await super().sweep(killed)
