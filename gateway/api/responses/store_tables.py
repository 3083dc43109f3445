"""All SQL for stored responses, for SQLite and PostgreSQL. A chain is a conversation; an owner is a client's key.

To import this module takes as long as SQLAlchemy does: `gateway.api.responses.store` does it at the first use.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import TextClause, bindparam, delete, func, insert, select, text, update

from gateway.store.response_tables import CHAINS, ITEMS, RESPONSES

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# From a response back to the first of its conversation: id, previous id, session, and the bytes of its items.
CONVERSATION = text("""
WITH RECURSIVE link (id, previous, session, size, chain, depth) AS (
    SELECT r.id, r.previous, r.session, length(r.input) + length(r.output), r.chain, 0
    FROM responses AS r JOIN chains AS c ON c.chain = r.chain
    WHERE r.owner = :owner AND r.id = :id AND c.used >= :oldest
    UNION ALL
    SELECT r.id, r.previous, r.session, length(r.input) + length(r.output), r.chain, depth + 1
    FROM link JOIN responses AS r ON r.owner = :owner AND r.id = link.previous AND r.chain = link.chain WHERE depth < :most
)
SELECT id, previous, session, size FROM link ORDER BY depth
""")
# The JSON of a response without its output, and of its output.
RESPONSE = text(
    "SELECT r.response, r.output FROM responses AS r JOIN chains AS c ON c.chain = r.chain"
    " WHERE r.owner = :owner AND r.id = :id AND c.used >= :oldest"
)
# Id, input, output of the responses `ids`, and of `id` the response, else null.
PARTS = text(
    "SELECT id, input, output, CASE WHEN id = :id THEN response END FROM responses WHERE owner = :owner AND id IN :ids"
).bindparams(bindparam("ids", expanding=True))
_OVER_SHARE = text("""
DELETE FROM chains WHERE chain IN (
    SELECT chain FROM (
        SELECT chain, sum(rows) OVER newest AS n, sum(bytes) OVER newest AS size FROM chains WHERE owner = :owner
        WINDOW newest AS (ORDER BY used DESC, chain DESC)
    ) AS sums WHERE n > :rows OR size > :bytes
) RETURNING chain
""")


def _with_items(column: str) -> TextClause:
    """The responses of an owner that contain the items `items`: id and a value."""
    return text(
        f"SELECT DISTINCT r.id, {column} FROM items AS i JOIN responses AS r ON r.owner = i.owner AND r.id = i.response"
        " JOIN chains AS c ON c.chain = r.chain WHERE i.owner = :owner AND c.used >= :oldest AND i.id IN :items"
    ).bindparams(bindparam("items", expanding=True))


SIZES_WITH_ITEMS = _with_items("length(r.output)")
OUTPUTS_WITH_ITEMS = _with_items("r.output")


async def add(db: "AsyncConnection", values: Mapping[str, object], item_ids: Iterable[str], now: float) -> None:
    """Store a response in place of one of the same id: in the chain of the previous response, or in a new one.

    Args:
        values: owner, id, previous, session, bytes, input, output, response.
        item_ids: of its output items.
        now: seconds since the epoch.
    """
    owner, response_id, size = values["owner"], values["id"], values["bytes"]
    await forget(db, str(owner), str(response_id))
    before = select(RESPONSES.c.chain).where(RESPONSES.c.owner == owner, RESPONSES.c.id == values["previous"])
    chain = (await db.execute(before)).scalar()
    if chain is None:
        chain = (
            await db.execute(insert(CHAINS).values(owner=owner, used=now, rows=1, bytes=size).returning(CHAINS.c.chain))
        ).scalar_one()
    else:
        sums = {"used": now, "rows": CHAINS.c.rows + 1, "bytes": CHAINS.c.bytes + size}
        await db.execute(update(CHAINS).where(CHAINS.c.chain == chain).values(sums))
    await db.execute(insert(RESPONSES), [{**values, "chain": chain}])
    items = [{"owner": owner, "id": item, "response": response_id, "chain": chain} for item in sorted(item_ids)]
    if items:
        await db.execute(
            text(
                "INSERT INTO items (owner, id, response, chain) VALUES (:owner, :id, :response, :chain)"
                " ON CONFLICT (owner, id) DO UPDATE SET response = excluded.response, chain = excluded.chain"
            ),
            items,
        )


async def forget(db: "AsyncConnection", owner: str, response_id: str) -> bool:
    """Delete a response and update its chain; return False if there is none."""
    r, c = RESPONSES.c, CHAINS.c
    deleted = await db.execute(
        delete(RESPONSES).where(r.owner == owner, r.id == response_id).returning(r.chain, r.bytes)
    )
    row = deleted.first()
    if row is None:
        return False
    chain, size = row
    items = ITEMS.c
    await db.execute(delete(ITEMS).where(items.owner == owner, items.response == response_id, items.chain == chain))
    await db.execute(update(CHAINS).where(c.chain == chain).values(rows=c.rows - 1, bytes=c.bytes - size))
    await db.execute(delete(CHAINS).where(c.chain == chain, c.rows == 0))
    return True


async def prune(db: "AsyncConnection", oldest: float, most_rows: int, most_bytes: int) -> None:
    """Delete conversations that were last used before `oldest`, then those above the owners' shares of the limits."""
    c = CHAINS.c
    expired = await db.execute(delete(CHAINS).where(c.used < oldest).returning(c.chain))
    chains = list(expired.scalars())
    sums = select(c.owner, func.sum(c.rows), func.sum(c.bytes)).group_by(c.owner)
    owners = [(owner, int(rows), int(size)) for owner, rows, size in await db.execute(sums)]
    rows, size = share([row[1] for row in owners], most_rows), share([row[2] for row in owners], most_bytes)
    for owner, of_rows, of_bytes in owners:
        if of_rows > rows or of_bytes > size:
            over = await db.execute(_OVER_SHARE, {"owner": owner, "rows": rows, "bytes": size})
            chains += over.scalars()
    for table in (RESPONSES, ITEMS):
        if chains:
            await db.execute(
                delete(table).where(table.c.chain == bindparam("of_chain")), [{"of_chain": chain} for chain in chains]
            )


def share(sizes: Sequence[int], most: int) -> int:
    """Return the most that one owner may have, so that all owners together have at most `most`.

    The unused part of an owner's equal share is divided among the others: `share([10, 500, 700], 1000)` is 495.
    """
    left, owners = most, len(sizes)
    for size in sorted(sizes):
        if size * owners > left:
            return left // owners
        left, owners = left - size, owners - 1
    return most
