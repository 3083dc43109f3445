"""Responses as they are stored: what is new in each, as JSON; and conversations made of that again. For threads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from gateway.bodies.json_cost import BYTES_PER_BYTE, json_cost
from gateway.bodies.lenient_json import clean, dumps
from gateway.bodies.memory_budget import charge

Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response.

    Attributes:
        input: everything that it answered: the conversation before it, then its own input.
        response: the Response object.
        whole: whether `input` is all of it. Not where a response before it has been deleted.
        size: of the JSON of all this, bytes.
    """

    id: str
    session: str | None
    input: Items
    response: dict[str, Any]
    whole: bool
    size: int

    @property
    def items(self) -> Items:
        """The conversation with the answer: what comes before the input of the response that goes on with it."""
        output: Items = self.response["output"]
        return self.input + output


class Row(NamedTuple):
    """A response as it is stored.

    Attributes:
        response: without its output.
        names: the ids of its output items.
    """

    input: bytes
    output: bytes
    response: bytes
    names: frozenset[str]

    @property
    def size(self) -> int:
        return len(self.input) + len(self.output) + len(self.response)


def row_of(response: dict[str, Any], own_input: Items) -> Row:
    given = response.get("output")  # as a provider wrote it, where it speaks this format
    output = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    rest = {key: value for key, value in response.items() if key != "output"}
    names = frozenset(item["id"] for item in output if isinstance(item.get("id"), str))
    return Row(_written(own_input), _written(output), _written(rest), names)


def _written(value: Any) -> bytes:
    """As JSON that the strict parser reads again, also where a provider's output is nested deep or has half a character."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return dumps(clean(value))


def affordable(blobs: Sequence[bytes]) -> bool:
    """Charges the request for the values of what is read of the store; False where they are more than any request may have.

    Args:
        blobs: whose bytes have been charged before they were read.

    Raises:
        Overloaded: there is no memory for it now.
    """
    cost = json_cost(b",".join(blobs))
    if cost.excessive:
        return False
    charge(cost.memory - BYTES_PER_BYTE * cost.size)
    return True


def stored_response(
    name: str, session: str | None, blobs: Sequence[Sequence[bytes]], response: bytes, whole: bool
) -> StoredResponse:
    """The response with its conversation.

    Args:
        blobs: the input and the output of each response, the oldest first.
        response: the JSON of this one, without its output.
    """
    items: Items = []
    for given, answered in blobs[:-1]:
        items += orjson.loads(given) + orjson.loads(answered)
    given, answered = blobs[-1]
    size = len(response) + sum(len(blob) for pair in blobs for blob in pair)
    return StoredResponse(
        name, session, items + orjson.loads(given), orjson.loads(response_json(response, answered)), whole, size
    )


def response_json(response: bytes, output: bytes) -> bytes:
    """A Response object out of one without its output, which has other fields, and its output."""
    return b"".join((b'{"output":', output, b",", response[1:]))


def items_named(outputs: Iterable[bytes], names: frozenset[str]) -> dict[str, dict[str, Any]]:
    """The items of these names."""
    return {item["id"]: item for output in outputs for item in orjson.loads(output) if item.get("id") in names}
