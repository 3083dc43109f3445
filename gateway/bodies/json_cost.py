"""Estimates the memory of a JSON text before it is parsed: many small values take far more memory than their bytes.

The count is linear and vectorised. numpy releases the GIL meanwhile; the JSON parser does not.
"""

from typing import NamedTuple

import numpy as np

BLOCK = 1 << 18
MAX_LOOKS = 2_000  # quotes examined one by one (fast for a few long strings); beyond this numpy counts in blocks
MAX_CONTAINERS = 100_000  # objects and lists of one body or conversation: more than any model can read
MAX_VALUES = 1_000_000  # keys and values: more than the token numbers of the largest embeddings request
BYTES_PER_OBJECT = 1_500  # with the objects that translation creates for each; measured with all API formats
BYTES_PER_VALUE = 150
BYTES_PER_BYTE = 6  # of text: as received, parsed, translated and sent upstream
_QUOTE, _BACKSLASH = ord('"'), ord("\\")


class JsonCost(NamedTuple):
    """Counts of a JSON text, outside of its strings.

    Attributes:
        size: length of the text, bytes.
        containers: number of objects and lists.
        values: approximate number of keys and values.
    """

    size: int
    containers: int
    values: int

    @property
    def excessive(self) -> bool:
        """True if it has more values than any valid request needs."""
        return self.containers > MAX_CONTAINERS or self.values > MAX_VALUES

    @property
    def memory(self) -> int:
        """Upper estimate of the memory that a request or answer with this text takes while it is processed, bytes."""
        return BYTES_PER_BYTE * self.size + BYTES_PER_OBJECT * self.containers + BYTES_PER_VALUE * self.values


def json_cost(text: bytes) -> JsonCost:
    """Count the brackets, commas and colons outside of strings. Does not check that the text is valid JSON."""
    outside = _outside_of_strings(text)
    if outside is not None and len(outside) < BLOCK:
        opens, between = (sum(map(outside.count, marks)) for marks in (b"{[", b",:"))
        return JsonCost(len(text), opens, opens + between)
    containers, separators = _counted(np.frombuffer(text, np.uint8))
    return JsonCost(len(text), containers, containers + separators)


def _outside_of_strings(text: bytes) -> bytes | None:
    """Return the text without its strings; None if it has too many quotes to examine them one by one."""
    parts = []
    end, looks = 0, 0
    while (start := text.find(b'"', end)) >= 0:
        parts.append(text[end:start])
        end = start
        escaped = True
        while escaped:
            looks += 1
            end = text.find(b'"', end + 1)
            if looks > MAX_LOOKS or end < 0:
                return None
            before = end - 1
            while text[before] == _BACKSLASH:
                before -= 1
            escaped = (end - before) % 2 == 0
        end += 1
    parts.append(text[end:])
    return b"".join(parts)


def _counted(data: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> tuple[int, int]:
    """Return the numbers of containers and of separators, counted block by block."""
    containers = separators = 0
    inside, escaping = 0, False  # state at the start of a block: inside a string; after an escaping backslash
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        quotes = block == _QUOTE
        backslashes = block == _BACKSLASH
        if escaping or backslashes.any():
            escaped, escaping = _escaped(backslashes, escaping)
            quotes &= ~escaped
        parity = np.add.accumulate(quotes, dtype=np.uint8)  # wraps at 256, which keeps the parity
        parity += np.uint8(inside)
        outside = (parity & 1) == 0
        inside = int(parity[-1]) & 1
        opens = (block == ord("{")) | (block == ord("["))
        between = (block == ord(",")) | (block == ord(":"))
        containers += int(np.count_nonzero(opens & outside))
        separators += int(np.count_nonzero(between & outside))
    return containers, separators


def _escaped(
    backslashes: "np.ndarray[tuple[int], np.dtype[np.bool_]]", escaping: bool
) -> tuple["np.ndarray[tuple[int], np.dtype[np.bool_]]", bool]:
    """Return a mask of the escaped bytes of a block, (n,) bool, and True if the first byte of the next block is escaped."""
    escaped = np.zeros(len(backslashes), np.bool_)
    where = np.flatnonzero(backslashes)
    # In a run of backslashes the first, third, fifth, ... escape the byte that follows.
    first = np.empty(len(where), np.bool_)
    first[:1] = True
    first[1:] = np.diff(where) > 1
    starts = where[first]
    offset = where - np.repeat(starts, np.diff(np.append(np.flatnonzero(first), len(where))))
    if escaping and len(where) and where[0] == 0:  # the first run continues from the previous block
        offset[: int(np.flatnonzero(first)[1]) if first.sum() > 1 else len(where)] += 1
    escaping_ones = where[offset % 2 == 0]
    followers = escaping_ones + 1
    escaped[followers[followers < len(escaped)]] = True
    if escaping:
        escaped[0] = True
    return escaped, bool(len(followers)) and int(followers[-1]) == len(escaped)
