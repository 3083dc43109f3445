"""One stored answer, in the client's format. It can be written again as a body or as a stream, with a new id and time.

An answer is stored as a template: JSON in which markers take the place of what each client gets anew. A marker begins with a NUL
byte, which JSON never contains, so no text of an answer can be one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.request.last_answer import LastAnswer

ID = b"\x00i"  # the id of the answer, with its quotes
CREATED = b"\x00c"  # seconds since the epoch
ID_VALUE, CREATED_VALUE = orjson.Fragment(ID), orjson.Fragment(CREATED)  # a value for `orjson.dumps`
OVERHEAD_BYTES = 2_000  # of an entry beside its templates


class NotStored(ValueError):
    """The answer is not one that another request may get: unfinished, refused, empty, or with parts that expire."""


@dataclass(frozen=True, slots=True)
class Templates:
    """The forms of one answer.

    Attributes:
        body: the complete answer.
        stream: the events of the stream; empty if the answer was not streamed.
        usage_event: the event after the stream for clients that ask for the usage; empty if there is none.
        ending: the last bytes of the stream.
    """

    body: bytes
    stream: bytes = b""
    usage_event: bytes = b""
    ending: bytes = b""


@dataclass(frozen=True, slots=True)
class Origin:
    """How the stored answer was made.

    Attributes:
        model: the model that was chosen and that answered.
        policy: the policy that chose it; None if the client named it.
        p_correct: its predicted correctness; None if it is not known.
        headers: of the answer; those that hold for later answers too.
        tokens: of prompt and answer, as the provider billed them; None if they are not known.
        cost_nusd: what the answer cost, nano-USD; None if it is not known.
        last_answer: by which the conversation is recognised in its next request.
    """

    model: str
    policy: str | None
    p_correct: float | None
    headers: tuple[tuple[bytes, bytes], ...]
    tokens: tuple[int, int] | None
    cost_nusd: int | None
    last_answer: LastAnswer


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer.

    Attributes:
        stored_at: by the cache's clock, seconds.
        ttl_s: how long it may be read, seconds.
    """

    templates: Templates
    origin: Origin
    stored_at: float
    ttl_s: float

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        templates = self.templates
        return OVERHEAD_BYTES + len(templates.body) + len(templates.stream) + len(templates.usage_event)


def rendered(template: bytes, values: Mapping[bytes, bytes]) -> bytes:
    """Return the template with a value in place of each marker."""
    for marker, value in values.items():
        template = template.replace(marker, value)
    return template
