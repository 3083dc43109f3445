"""What the ledger in the database says of budgets, for a store of limits that may lose its memory."""

from collections.abc import Mapping, Sequence

from gateway.limits.engine import BudgetTerm, LimitsAway, Swept
from gateway.limits.sql_rows import add_to_ledger, of_leases, recent_leases, spent_in
from gateway.limits.valkey import Recorded
from gateway.store.database import Database, DatabaseUnavailable


class SqlLedger:
    """The ledger of a database; None: there is none, so that budgets begin at 0 when the store loses its memory."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    async def of_window(self, term: BudgetTerm) -> Recorded:
        """See `gateway.limits.valkey.Ledger`.

        Raises:
            LimitsAway: the database does not answer.
        """
        if self._database is None:
            return Recorded(0, {})
        try:
            async with self._database.read() as connection:
                leases = await recent_leases(connection)
                return Recorded(await spent_in(connection, term), await of_leases(connection, leases))
        except DatabaseUnavailable as exc:
            raise LimitsAway(f"the ledger cannot be read: {exc}") from exc

    async def of_leases(self, leases: Sequence[str]) -> Mapping[str, int]:
        """See `gateway.limits.valkey.Ledger`.

        Raises:
            LimitsAway: the database does not answer.
        """
        if self._database is None:
            return {}
        try:
            async with self._database.read() as connection:
                return await of_leases(connection, leases)
        except DatabaseUnavailable as exc:
            raise LimitsAway(f"the ledger cannot be read: {exc}") from exc

    async def add(self, swept: Sequence[Swept]) -> None:
        """See `gateway.limits.valkey.Ledger`.

        Raises:
            LimitsAway: the database does not answer.
        """
        if self._database is None:
            return
        try:
            async with self._database.begin() as connection:
                await add_to_ledger(connection, swept)
        except DatabaseUnavailable as exc:
            raise LimitsAway(f"the ledger cannot be written: {exc}") from exc
