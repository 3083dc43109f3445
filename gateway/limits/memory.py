"""Limits in the memory of one process, for a gateway without a store. They begin anew with the process."""

from collections.abc import Callable, Collection, Mapping, Sequence

from gateway.core.vocabulary import Clock
from gateway.limits.engine import LEASE_S, TOMB_S, Answer, Ask, Swept, WindowKey, WindowState
from gateway.limits.exchange import Rows, WindowRow, exchange, sweep

OLD_S = 40 * 86_400  # windows that began longer ago have ended, except `ever`


class MemoryEngine:
    """An engine whose rows are Python objects.

    Args:
        clock: seconds since the epoch.
        recorded: nano-USD that the ledger has of the calls of a lease; None: what the lease reported.
    """

    def __init__(self, clock: Clock, recorded: Callable[[str], int | None] = lambda _: None) -> None:
        self._recorded = recorded
        self.rows = Rows()
        self._clock = clock
        self._corrections: list[Swept] = []

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        now, rows, answers = self._clock(), self.rows, []
        for ask in asks:
            for term in ask.terms.budgets:
                rows.windows.setdefault(term.key, WindowRow())
            for count in ask.terms.counts:
                rows.cells.setdefault((count.scope, count.kind), {})
            answer, correction = exchange(rows, ask, now)
            answers.append(answer)
            if correction is not None:
                self._corrections.append(correction)
        return answers

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        found = {key: row for key in keys if (row := self.rows.windows.get(key)) is not None}
        return {key: WindowState(row.spent, row.expected, row.worst) for key, row in found.items()}

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        now, rows = self._clock(), self.rows
        for lease in rows.leases.values():
            if lease.swept is None:  # else the clock has gone back, and a killed process would keep its lease for long
                lease.deadline = min(lease.deadline, now + LEASE_S)
        held = [id for id, lease in rows.leases.items() if lease.swept is None]
        expired = [id for id in held if rows.leases[id].deadline < now or id.partition("/")[0] in killed]
        swept = [*self._corrections, *(sweep(rows, id, now, self._recorded(id)) for id in expired)]
        self._corrections.clear()
        for id in [
            id for id, lease in rows.leases.items() if lease.swept is not None and lease.deadline < now - TOMB_S
        ]:
            del rows.leases[id]
        for key in [key for key, row in rows.windows.items() if not row.leases and 0 < key.start < now - OLD_S]:
            del rows.windows[key]
        return swept
