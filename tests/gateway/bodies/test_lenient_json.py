import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies.lenient_json import clean, dumps, loads, loads_clean, split_half

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def joined(pieces: list[str]) -> str:
    """What a reader makes of a text that comes in pieces."""
    said, half = "", ""
    for piece in pieces:
        new, half = split_half(half + piece)
        said += new
    return said + ("\ufffd" if half else "")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": NaN, "b": -Infinity, "c": [Infinity]}', {"a": None, "b": None, "c": [None]}),
        (b'{"a": "one\ttwo\x01"}', {"a": "one\ttwo\x01"}),
        (b'{"a": "\\ud83d\\ude00 \\ud83d."}', {"a": "😀 \ufffd."}),
        (b'{"a": "\xff\xf0\x9f\x98\x80"}', {"a": "\ufffd😀"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_what_the_strict_parser_refuses_is_read(data: bytes, value: object) -> None:
    assert loads_clean(data) == (value, False)
    assert orjson.loads(dumps(value)) == value


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": tru}', b"2024-04-07 20:20:50", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads_clean(data)


@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda v: st.lists(v) | st.dictionaries(TEXT, v)))
def test_proper_json_is_as_it_is(value: object) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    assert loads(data)[0] == orjson.loads(data)
    assert clean(value) == value


@given(TEXT, st.integers(1, 5))
def test_bytes_that_are_cut_anywhere_come_out_whole(text: str, size: int) -> None:
    data = text.encode()
    pieces = [data[at : at + size].decode("utf-8", "surrogateescape") for at in range(0, len(data), size)]
    assert joined(pieces) == text


@given(TEXT, st.integers(1, 3))
def test_surrogate_pairs_that_are_cut_come_out_whole(text: str, size: int) -> None:
    units = text.encode("utf-16-le")
    pieces = [units[at : at + 2 * size].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2 * size)]
    assert joined(pieces) == text


@given(st.lists(st.text(st.characters())))
def test_whatever_comes_can_be_written(pieces: list[str]) -> None:
    joined(pieces).encode()
    orjson.dumps(clean(pieces))
