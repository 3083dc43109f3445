import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies.sse import MAX_EVENT_BYTES, Event, EventReader, json_event

BOM = b"\xef\xbb\xbf"


def read(parts: list[bytes]) -> list[bytes]:
    reader = EventReader()
    events = [event for part in parts for event in reader.feed(part)] + reader.close()
    return [event.data for event in events if event.data is not None]


def split(whole: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    return [whole[a:b] for a, b in itertools.pairwise(marks)]


def by_the_standard(stream: bytes) -> list[bytes]:
    """The data of all events, by WHATWG HTML 9.2.6 read line by line; written without a look at the reader.

    Two things the standard has otherwise: bytes are not decoded, and what the stream breaks off in is an event too.
    """
    stream = stream[3:] if stream[:3] == BOM else stream
    events: list[bytes] = []
    data = b""
    line = b""
    i = 0

    def end_of_line() -> None:
        nonlocal data, line
        if not line:
            if data:
                events.append(data[:-1])
            data = b""
        elif not line.startswith(b":"):
            name, _, value = line.partition(b":")
            if name == b"data":
                data += (value[1:] if value[:1] == b" " else value) + b"\n"
        line = b""

    while i < len(stream):
        byte = stream[i : i + 1]
        i += 1
        if byte == b"\r" and stream[i : i + 1] == b"\n":
            i += 1
        if byte in (b"\r", b"\n"):
            end_of_line()
        else:
            line += byte
    if line:
        end_of_line()
    end_of_line()
    return events


LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data:  y",
        b"data",
        b": ping",
        b"event: e",
        b"id: 1",
        b"",
        b"junk",
        "data: é€😀".encode(),
        b"data :x",
        b"DATA: x",
        b"data:",
        BOM + b"data: z",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.lists(st.integers(0, 400), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_events(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    whole = b"".join(line + end for line, end in lines)
    assert read(split(whole, cuts)) == read([whole])


# Bytes that mean something to a reader occur often, so that they meet in every order.
BYTES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\n\n", b"\r\n", b"data", b": ", b":", b" ", b"x", BOM, "é".encode(), b"\xc3", b"\0"]
    ),
    max_size=40,
).map(b"".join)


@given(BYTES, st.lists(st.integers(0, 120), max_size=12))
def test_any_bytes_are_read_as_the_standard_says(whole: bytes, cuts: list[int]) -> None:
    expected = by_the_standard(whole)
    assert read([whole]) == expected
    assert read(split(whole, cuts)) == expected


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_the_bytes_of_all_events_are_the_stream(
    lines: list[tuple[bytes, bytes]], cuts: list[int], marked: bool
) -> None:
    """Nothing is lost or made up: a relay that hands on the bytes of every event hands on the stream."""
    whole = b"".join(line + end for line, end in lines) + b"data: last\n\n"
    reader = EventReader()
    events = [event for part in split((BOM if marked else b"") + whole, cuts) for event in reader.feed(part)]
    assert reader.close() == []
    assert b"".join(event.raw for event in events) == (whole.removeprefix(BOM) if not marked else whole)


def test_a_character_and_a_line_end_may_be_cut_anywhere() -> None:
    whole = BOM + 'data: "é€😀"\r\n\r\ndata: "ü"\r\ndata: 2\r\n\r\n: ping\r\n\r\n'.encode()
    expected = ['"é€😀"'.encode(), '"ü"\n2'.encode()]
    for cut in range(len(whole) + 1):
        assert read([whole[:cut], whole[cut:]]) == expected, cut
    assert read([whole[i : i + 1] for i in range(len(whole))]) == expected


def test_events_come_as_soon_as_they_are_complete() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\nda") == [Event(b"data: a\n\n", b"a")]
    assert reader.feed(b"ta: b\r\n\r") == []  # may be half of a line end
    assert [event.data for event in reader.feed(b"\n")] == [b"b"]


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


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_endless_event_is_refused(end: bytes) -> None:
    reader = EventReader()
    piece = b"data: " + b"x" * ((1 << 20) - 6 - len(end)) + end  # also one that has lines
    for _ in range(MAX_EVENT_BYTES // len(piece)):
        reader.feed(piece)
    with pytest.raises(ValueError, match="longer than"):
        reader.feed(b"x")


def test_a_long_stream_of_short_events_is_not_refused() -> None:
    reader = EventReader()
    event = b"data: " + b"x" * (1 << 20) + b"\n\n"
    assert sum(len(reader.feed(event)) for _ in range(20)) == 20


def test_encode_is_read_back() -> None:
    value = {"text": "line\nbreak", "ü": 1}
    assert [orjson.loads(data) for data in read([json_event(value)])] == [value]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_large_event_in_small_pieces(end: bytes, size: int) -> None:
    whole = b"data: " + b"x" * 9_000 + end + b"data: y" + end + b"data: z"
    assert read([whole[i : i + size] for i in range(0, len(whole), size)]) == [b"x" * 9_000, b"y", b"z"]
