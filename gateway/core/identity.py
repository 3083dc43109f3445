"""Who sent a request: the gateway key that authenticated it, without the key itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """The gateway key of a request. The edge puts it into `scope["state"]["identity"]`.

    Attributes:
        id: the owner of conversations and stored responses. It stays the same when the key is rotated. For a plain key of
            `gateway.keys`, and for requests without a key, it is a digest.
        name: the key's name in the portfolio file or the store; empty for requests without a key.
        team: the name of its team; None if it has none.
        tags: the key's tags and its team's, for the record.
    """

    id: str
    name: str = ""
    team: str | None = None
    tags: tuple[str, ...] = ()
