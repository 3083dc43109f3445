"""The tables of stored responses in SQLite: how they are created, read along a conversation, and pruned."""

from collections.abc import Sequence

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
# Files of earlier versions have the output in the response, and no owners of chains.
_UPGRADE = (
    "ALTER TABLE responses ADD COLUMN output BLOB NOT NULL DEFAULT '[]'",
    "UPDATE responses SET output = CAST(json_extract(CAST(response AS TEXT), '$.output') AS BLOB),"
    " response = CAST(json_remove(CAST(response AS TEXT), '$.output') AS BLOB)",
    "ALTER TABLE chains ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "UPDATE chains SET owner = (SELECT owner FROM responses WHERE responses.chain = chains.chain LIMIT 1)"
    " WHERE chain IN (SELECT chain FROM responses)",
)
# From a response back to the first of its conversation: ids, the previous ids, sessions, and the bytes of their items.
WAY = """
WITH RECURSIVE way (id, previous, session, size, chain, depth) AS (
    SELECT id, previous, session, length(input) + length(output), chain, 0 FROM responses JOIN chains USING (chain)
    WHERE responses.owner = :owner AND id = :id AND used >= :oldest
    UNION ALL
    SELECT r.id, r.previous, r.session, length(r.input) + length(r.output), r.chain, depth + 1
    FROM way JOIN responses AS r ON r.owner = :owner AND r.id = way.previous AND r.chain = way.chain WHERE depth < :most
)
SELECT id, previous, session, size FROM way ORDER BY depth
"""


def referred(columns: str, names: int) -> str:
    """SQL for the responses of so many items; its values are the owner, the oldest time, and the items' ids."""
    return (
        f"SELECT DISTINCT {columns} FROM items AS i JOIN responses AS r ON r.owner = i.owner AND r.id = i.response"
        " JOIN chains AS c ON c.chain = r.chain WHERE i.owner = ? AND c.used >= ?"
        f" AND i.id IN ({', '.join('?' * names)})"
    )


async def create(db: aiosqlite.Connection) -> None:
    """Creates what is missing; brings the tables of earlier versions up to date."""
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


async def prune(db: aiosqlite.Connection, oldest: float, most_rows: int, most_bytes: int) -> None:
    """Deletes the conversations that were last used before `oldest`; then those over the owners' shares of the limits."""
    async with db.execute("DELETE FROM chains WHERE used < ? RETURNING chain", (oldest,)) as deleted:
        gone = list(await deleted.fetchall())
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
                gone += await deleted.fetchall()
    for table in ("responses", "items"):
        await db.executemany(f"DELETE FROM {table} WHERE chain = ?", [(chain,) for (chain,) in gone])


def share(sizes: Sequence[int], most: int) -> int:
    """The most that one owner may have so that all have at most `most` together.

    Who has less than an equal share leaves the rest to the others: `share([10, 500, 700], 1000)` is 495.
    """
    left, owners = most, len(sizes)
    for size in sorted(sizes):
        if size * owners > left:
            return left // owners
        left, owners = left - size, owners - 1
    return most
