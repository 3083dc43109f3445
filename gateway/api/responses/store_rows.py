"""Converts responses to the JSON that is stored, and back. These functions are slow for large responses: run them in a thread."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from gateway.api.responses.types import Item, Response
from gateway.bodies.json_cost import BYTES_PER_BYTE, json_cost
from gateway.bodies.lenient_json import clean, dumps
from gateway.bodies.memory_budget import charge


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response.

    Attributes:
        session: the name of the conversation.
        input: all items that it answers: the conversation before it, then its own input.
        response: the Response object.
        is_complete: False if a response before it was deleted, so that `input` lacks items.
        size: bytes of JSON of input and response.
    """

    id: str
    session: str | None
    input: list[Item]
    response: Response
    is_complete: bool
    size: int

    @property
    def items(self) -> list[Item]:
        """The conversation up to and including this response."""
        output: list[Item] = self.response["output"]
        return self.input + output


class ResponseRow(NamedTuple):
    """A response as it is stored.

    Attributes:
        response: without its output.
        item_ids: the ids of its output items.
    """

    input: bytes
    output: bytes
    response: bytes
    item_ids: frozenset[str]

    @property
    def size(self) -> int:
        return len(self.input) + len(self.output) + len(self.response)


def response_row(response: Response, own_items: list[Item]) -> ResponseRow:
    """Return a response as it is stored.

    Args:
        own_items: its input items, without the conversation before it.
    """
    given = response.get("output")  # of any type if a provider wrote it
    output = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    rest = {key: value for key, value in response.items() if key != "output"}
    item_ids = frozenset(item["id"] for item in output if isinstance(item.get("id"), str))
    return ResponseRow(_json(own_items), _json(output), _json(rest), item_ids)


def _json(value: object) -> bytes:
    """Return JSON that the strict parser can read, even if a provider's output is deeply nested or has lone surrogates."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return dumps(clean(value))


def charge_values(blobs: Sequence[bytes]) -> bool:
    """Charge the request's memory budget for parsing stored JSON; return False if it has more values than a request may have.

    Args:
        blobs: their bytes have already been charged.

    Raises:
        Overloaded: there is not enough memory for it now.
    """
    cost = json_cost(b",".join(blobs))
    if cost.excessive:
        return False
    charge(cost.memory - BYTES_PER_BYTE * cost.size)
    return True


def stored_response(
    response_id: str, session: str | None, blobs: Sequence[Sequence[bytes]], response: bytes, is_complete: bool
) -> StoredResponse:
    """Return the response with its conversation.

    Args:
        blobs: the input and the output of each response, the oldest first; the last is this one.
        response: the JSON of this response, without its output.
    """
    items: list[Item] = []
    for input_json, output_json in blobs[:-1]:
        items += orjson.loads(input_json) + orjson.loads(output_json)
    input_json, output_json = blobs[-1]
    size = len(response) + sum(len(blob) for pair in blobs for blob in pair)
    items += orjson.loads(input_json)
    return StoredResponse(
        response_id, session, items, orjson.loads(response_json(response, output_json)), is_complete, size
    )


def response_json(response: bytes, output: bytes) -> bytes:
    """Return the JSON of a Response object, from the JSON without its output (which has other fields) and that of its output."""
    return b"".join((b'{"output":', output, b",", response[1:]))


def items_with_ids(outputs: Iterable[bytes], item_ids: frozenset[str]) -> dict[str, Item]:
    """Return the output items with these ids, by their ids."""
    return {item["id"]: item for output in outputs for item in orjson.loads(output) if item.get("id") in item_ids}
