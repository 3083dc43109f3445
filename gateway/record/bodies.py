"""The bodies of requests, as clients sent them, in the table `request_bodies`."""

import sys
from typing import TYPE_CHECKING, NamedTuple

from gateway.record.request_record import Record

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_BODY = 8 << 20  # bytes; of a larger one only its size is kept
BODY_COLUMNS = ("request_id", "time", "key_id", "size", "body")


class StoredBody(NamedTuple):
    """A body.

    Attributes:
        size: bytes.
        packed: compressed; None if it was larger than `MAX_BODY`.
    """

    size: int
    packed: bytes | None

    def body(self) -> bytes | None:
        """As it was sent, after its content encoding was undone. Of a large body it takes some milliseconds."""
        return None if self.packed is None else zstd.decompress(self.packed)


def body_row(record: Record, body: bytes) -> tuple[object, ...]:
    """The row of a request's body."""
    kept = zstd.compress(body) if len(body) <= MAX_BODY else None
    return record.request_id.replace("\0", "\ufffd"), record.time, record.key_id, len(body), kept


def stored_body(connection: "Connection", request_id: str, time: float, key_id: str | None) -> StoredBody | None:
    """The body of a request; None if it was not stored, or is older than the record.

    Args:
        time, key_id: of the request, as in its record.
    """
    from sqlalchemy import select

    from gateway.store.recorder_tables import REQUEST_BODIES

    c = REQUEST_BODIES.c
    own = c.key_id.is_(None) if key_id is None else c.key_id == key_id
    row = connection.execute(
        select(c.size, c.body).where(c.time == time, c.request_id == request_id, own).limit(1)
    ).one_or_none()
    return None if row is None else StoredBody(row.size, None if row.body is None else bytes(row.body))
