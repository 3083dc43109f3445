"""The SQLite tables of stored responses and all SQL for them. A chain is a conversation; an owner is a client's key digest."""

from collections.abc import Iterable, Sequence

import aiosqlite

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chains (
    chain INTEGER PRIMARY KEY, used REAL NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS chains_used ON chains (used);
CREATE TABLE IF NOT EXISTS responses (
    owner TEXT NOT NULL, id TEXT NOT NULL, chain INTEGER NOT NULL, previous TEXT, session TEXT, bytes INTEGER NOT NULL,
    input BLOB NOT NULL, response BLOB NOT NULL, output BLOB NOT NULL DEFAULT '[]', PRIMARY KEY (owner, id)
);
CREATE INDEX IF NOT EXISTS responses_chain ON responses (chain);
CREATE TABLE IF NOT EXISTS items (
    owner TEXT NOT NULL, id TEXT NOT NULL, response TEXT NOT NULL, chain INTEGER NOT NULL, PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_chain ON items (chain);
"""
# In files of earlier versions the response contains the output, and chains have no owner.
_UPGRADE = (
    "ALTER TABLE responses ADD COLUMN output BLOB NOT NULL DEFAULT '[]'",
    "UPDATE responses SET output = CAST(json_extract(CAST(response AS TEXT), '$.output') AS BLOB),"
    " response = CAST(json_remove(CAST(response AS TEXT), '$.output') AS BLOB)",
    "ALTER TABLE chains ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "UPDATE chains SET owner = (SELECT owner FROM responses WHERE responses.chain = chains.chain LIMIT 1)"
    " WHERE chain IN (SELECT chain FROM responses)",
)
# From a response back to the first of its conversation: id, previous id, session, and the bytes of its items.
CONVERSATION = """
WITH RECURSIVE link (id, previous, session, size, chain, depth) AS (
    SELECT id, previous, session, length(input) + length(output), chain, 0 FROM responses JOIN chains USING (chain)
    WHERE responses.owner = :owner AND id = :id AND used >= :oldest
    UNION ALL
    SELECT r.id, r.previous, r.session, length(r.input) + length(r.output), r.chain, depth + 1
    FROM link JOIN responses AS r ON r.owner = :owner AND r.id = link.previous AND r.chain = link.chain WHERE depth < :most
)
SELECT id, previous, session, size FROM link ORDER BY depth
"""


# The JSON of a response without its output, and of its output. The values are the owner, the id and the oldest time.
RESPONSE = (
    "SELECT response, output FROM responses JOIN chains USING (chain)"
    " WHERE responses.owner = ? AND id = ? AND used >= ?"
)


def select_conversation(ids: int) -> str:
    """Return the SQL for `ids` responses: id, input, output, and of one of them the response, else null.

    The values are the id of that one, the owner, and all ids.
    """
    return (
        "SELECT id, input, output, CASE WHEN id = ? THEN response END FROM responses"
        f" WHERE owner = ? AND id IN ({', '.join('?' * ids)})"
    )


def with_items(columns: str, items: int) -> str:
    """Return the SQL for the responses that contain `items` items; the values are the owner, the oldest time, and the item ids."""
    return (
        f"SELECT DISTINCT {columns} FROM items AS i JOIN responses AS r ON r.owner = i.owner AND r.id = i.response"
        " JOIN chains AS c ON c.chain = r.chain WHERE i.owner = ? AND c.used >= ?"
        f" AND i.id IN ({', '.join('?' * items)})"
    )


async def create(db: aiosqlite.Connection) -> None:
    """Create missing tables; migrate the tables of earlier versions."""
    await db.executescript(_SCHEMA)
    await db.execute("BEGIN IMMEDIATE")
    try:
        async with db.execute("SELECT count(*) FROM pragma_table_info('responses') WHERE name = 'output'") as found:
            row = await found.fetchone()
        if row is not None and not row[0]:
            for sql in _UPGRADE:
                await db.execute(sql)
        await db.execute("CREATE INDEX IF NOT EXISTS chains_owner ON chains (owner, used)")
        await db.commit()
    except BaseException:
        await db.rollback()
        raise


async def insert(db: aiosqlite.Connection, values: Sequence[object], item_ids: Iterable[str]) -> None:
    """Insert a response and the ids of its output items.

    Args:
        values: owner, id, chain, previous id, session, bytes, input, output, response.
    """
    await db.execute(
        "INSERT INTO responses (owner, id, chain, previous, session, bytes, input, output, response)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    owner, response_id, chain, *_ = values
    await db.executemany(
        "INSERT OR REPLACE INTO items (owner, id, response, chain) VALUES (?, ?, ?, ?)",
        [(owner, item_id, response_id, chain) for item_id in item_ids],
    )


async def extend_chain(
    db: aiosqlite.Connection, key_digest: str, previous_id: str | None, size: int, now: float
) -> int:
    """Return the chain for a new response: the chain of the previous response with its totals updated, or a new chain.

    Args:
        size: of the new response, in bytes.
        now: seconds since the epoch.
    """
    async with db.execute("SELECT chain FROM responses WHERE owner = ? AND id = ?", (key_digest, previous_id)) as rows:
        row = await rows.fetchone()
    if row is not None:
        sql = "UPDATE chains SET used = ?, rows = rows + 1, bytes = bytes + ? WHERE chain = ?"
        await db.execute(sql, (now, size, row[0]))
        return int(row[0])
    sql = "INSERT INTO chains (owner, used, rows, bytes) VALUES (?, ?, 1, ?)"
    async with db.execute(sql, (key_digest, now, size)) as inserted:
        assert inserted.lastrowid is not None
        return inserted.lastrowid


async def forget(db: aiosqlite.Connection, key_digest: str, response_id: str) -> bool:
    """Delete a response and update its chain; return False if there is none."""
    sql = "DELETE FROM responses WHERE owner = ? AND id = ? RETURNING chain, bytes"
    async with db.execute(sql, (key_digest, response_id)) as deleted:
        row = await deleted.fetchone()
    if row is None:
        return False
    chain, size = row
    await db.execute(
        "DELETE FROM items WHERE owner = ? AND response = ? AND chain = ?", (key_digest, response_id, chain)
    )
    await db.execute("UPDATE chains SET rows = rows - 1, bytes = bytes - ? WHERE chain = ?", (size, chain))
    await db.execute("DELETE FROM chains WHERE chain = ? AND rows = 0", (chain,))
    return True


async def prune(db: aiosqlite.Connection, oldest: float, most_rows: int, most_bytes: int) -> None:
    """Delete conversations that were last used before `oldest`, then those above the owners' shares of the limits."""
    async with db.execute("DELETE FROM chains WHERE used < ? RETURNING chain", (oldest,)) as deleted:
        chains = list(await deleted.fetchall())
    async with db.execute("SELECT owner, sum(rows), sum(bytes) FROM chains GROUP BY owner") as found:
        owners = list(await found.fetchall())
    rows, size = share([row[1] for row in owners], most_rows), share([row[2] for row in owners], most_bytes)
    sql = (
        "DELETE FROM chains WHERE chain IN (SELECT chain FROM (SELECT chain, sum(rows) OVER newest AS n,"
        " sum(bytes) OVER newest AS size FROM chains WHERE owner = ? WINDOW newest AS (ORDER BY used DESC, chain DESC))"
        " WHERE n > ? OR size > ?) RETURNING chain"
    )
    for key_digest, of_rows, of_bytes in owners:
        if of_rows > rows or of_bytes > size:
            async with db.execute(sql, (key_digest, rows, size)) as deleted:
                chains += await deleted.fetchall()
    for table in ("responses", "items"):
        await db.executemany(f"DELETE FROM {table} WHERE chain = ?", [(chain,) for (chain,) in chains])


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
