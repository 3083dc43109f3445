"""The last answers of conversations in the shared server, so that a conversation stays with its model in every replica.

They are written behind the answers, and read where a replica does not know a conversation. Without them a conversation may change
its model, which costs no more than the cache of a provider.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.request.conversation import Turn

TTL_S = 3600
_PREFIX = b"locus:turn:1:"  # the number is that of the form


def turn_name(key: bytes) -> bytes:
    """The name of a turn in the server; `key` is that in the table of conversations."""
    return _PREFIX + key.hex().encode()


def dump_turn(turn: Turn, age_at: float) -> bytes:
    """A turn as text.

    Args:
        age_at: the time by the server's clock at which the turn's own clock was 0.
    """
    at = turn.at + age_at
    return orjson.dumps([turn.model, turn.tokens, at, turn.opening.hex(), turn.mixed, turn.requested])


def load_turns(keys: Sequence[bytes], answers: Sequence[Any], age_at: float) -> Mapping[bytes, Turn]:
    """The turns that the server knows; what cannot be read is left out."""
    turns = {}
    for key, answer in zip(keys, answers, strict=True):
        if not isinstance(answer, bytes):
            continue
        try:
            model, tokens, at, opening, mixed, requested = orjson.loads(answer)
            turns[key] = Turn(
                str(model), int(tokens), float(at) - age_at, bytes.fromhex(opening), bool(mixed), str(requested)
            )
        except (ValueError, TypeError):  # of another version
            continue
    return turns
