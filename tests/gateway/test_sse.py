import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import EventReader, encode


def read(parts: list[bytes]) -> list[bytes]:
    reader = EventReader()
    events = [event for part in parts for event in reader.feed(part)] + reader.close()
    return [event.data for event in events if event.data is not None]


LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data:  y", b"data", b": ping", b"event: e", b"id: 1", b"", b"junk", "data: é".encode()]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.lists(st.integers(0, 400), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_events(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    whole = b"".join(line + end for line, end in lines)
    marks = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    assert read([whole[a:b] for a, b in itertools.pairwise(marks)]) == read([whole])


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\rdata: b\r\r", [b"a\nb"]),
        (b"data: a\ndata:b\nevent: x\n\n", [b"a\nb"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: unfinished", [b"a", b"unfinished"]),
        (b"data\n\n", [b""]),
        (b"", []),
    ],
)
def test_events_by_the_standard(raw: bytes, data: list[bytes]) -> None:
    assert read([raw]) == data


def test_events_keep_their_bytes() -> None:
    raw = b'data: {"a": 1.50}\n\n'
    assert [event.raw for event in EventReader().feed(raw)] == [raw]


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    for _ in range(16):
        reader.feed(b"x" * (1 << 20))
    with pytest.raises(ValueError, match="longer than"):
        reader.feed(b"x")


def test_encode_is_read_back() -> None:
    value = {"text": "line\nbreak", "ü": 1}
    assert [orjson.loads(data) for data in read([encode(value)])] == [value]
