"""How many values JSON text holds, counted before it is parsed: what they cost in memory and time is far more than their bytes.

Linear and vectorised; numpy lets other threads run meanwhile, which the JSON parser does not.
"""

from typing import NamedTuple

import numpy as np

BLOCK = 1 << 18
MAX_LOOKS = 2_000  # at quotes one by one: a few long strings are passed over fast, many short ones are counted in bulk
MAX_CONTAINERS = 100_000  # objects and lists of one body or conversation: far beyond what any model reads
MAX_VALUES = 1_000_000  # keys and values: beyond all token numbers that an embeddings request may have
BYTES_PER_OBJECT = 1_500  # with what reading and translating a request makes of each; measured on all API formats
BYTES_PER_VALUE = 150
BYTES_PER_BYTE = 6  # text: as received, as parsed, as sent on, and in translation
_QUOTE, _BACKSLASH = ord('"'), ord("\\")


class JsonCost(NamedTuple):
    """What is in a JSON text, outside of its strings.

    Attributes:
        size: of the text, bytes.
        containers: objects and lists that open.
        values: about as many values and keys as it has.
    """

    size: int
    containers: int
    values: int

    @property
    def excessive(self) -> bool:
        """Whether it has more values than any request needs."""
        return self.containers > MAX_CONTAINERS or self.values > MAX_VALUES

    @property
    def memory(self) -> int:
        """An estimate from above of what a request or answer of this text takes while it is worked on, bytes."""
        return BYTES_PER_BYTE * self.size + BYTES_PER_OBJECT * self.containers + BYTES_PER_VALUE * self.values


def json_cost(text: bytes) -> JsonCost:
    """Counts brackets, commas and colons that are outside of strings. Does not check that the text is JSON."""
    outside = _outside_of_strings(text)
    if outside is not None and len(outside) < BLOCK:
        opens, between = (sum(map(outside.count, marks)) for marks in (b"{[", b",:"))
        return JsonCost(len(text), opens, opens + between)
    containers, separators = _counted(np.frombuffer(text, np.uint8))
    return JsonCost(len(text), containers, containers + separators)


def _outside_of_strings(text: bytes) -> bytes | None:
    """The text without its strings, which may be long, as those of images are; None where there are many quotes to look at."""
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
    """Containers and separators."""
    containers = separators = 0
    inside, escaping = 0, False  # at the start of a block: in a string? after a backslash that escapes?
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        quotes = block == _QUOTE
        backslashes = block == _BACKSLASH
        if escaping or backslashes.any():
            escaped, escaping = _escaped(backslashes, escaping)
            quotes &= ~escaped
        parity = np.add.accumulate(quotes, dtype=np.uint8)  # wraps around at 256, which keeps what is odd odd
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
    """Which bytes follow a backslash that is not escaped itself; and whether the byte after the block is one of them."""
    escaped = np.zeros(len(backslashes), np.bool_)
    where = np.flatnonzero(backslashes)
    # Of a run of backslashes every second one escapes what follows it, beginning with the first.
    first = np.empty(len(where), np.bool_)
    first[:1] = True
    first[1:] = np.diff(where) > 1
    starts = where[first]
    offset = where - np.repeat(starts, np.diff(np.append(np.flatnonzero(first), len(where))))
    if escaping and len(where) and where[0] == 0:  # the first run goes on from the block before
        offset[: int(np.flatnonzero(first)[1]) if first.sum() > 1 else len(where)] += 1
    escaping_ones = where[offset % 2 == 0]
    followers = escaping_ones + 1
    escaped[followers[followers < len(escaped)]] = True
    if escaping:
        escaped[0] = True
    return escaped, bool(len(followers)) and int(followers[-1]) == len(escaped)
