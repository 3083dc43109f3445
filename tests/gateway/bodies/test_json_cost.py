"""Values of JSON text are counted right before anything is parsed, wherever blocks and escapes fall."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies import json_cost as counting
from gateway.bodies.json_cost import MAX_CONTAINERS, MAX_VALUES, json_cost
from gateway.core.errors import BodyTooLarge
from gateway.request.request import parse_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\,:{[]} ', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\{:,', max_size=3), inner, max_size=4),
)


def _counted(value: object) -> tuple[int, int]:
    """Containers and separators (`,` and `:`) of a value."""
    match value:
        case dict():
            inner = [_counted(item) for item in value.values()]
            own = (1, max(0, 2 * len(value) - 1))
        case list():
            inner = [_counted(item) for item in value]
            own = (1, max(0, len(value) - 1))
        case _:
            return (0, 0)
    return own[0] + sum(c for c, _ in inner), own[1] + sum(s for _, s in inner)


@given(JSON, st.integers(1, 9), st.sampled_from([0, 3, 2_000]))
def test_values_are_counted_outside_of_strings(value: object, block: int, looks: int) -> None:
    text = orjson.dumps([value])
    containers, separators = _counted([value])
    before = counting.BLOCK, counting.MAX_LOOKS
    counting.BLOCK, counting.MAX_LOOKS = block, looks
    try:
        cost = json_cost(text)
    finally:
        counting.BLOCK, counting.MAX_LOOKS = before
    assert cost == (len(text), containers, containers + separators)


@pytest.mark.parametrize(
    "unit",
    [b'{"role":"user","content":"a"},', b"[],", b"{},", b'{"":0},', b'"",', b"1,"],
    ids=lambda unit: unit.decode(),
)
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(unit: bytes) -> None:
    body = b'{"model":"m","messages":[' + (unit * (2 * MAX_VALUES))[: 6 << 20] + b"not JSON"
    with pytest.raises(BodyTooLarge, match=f"{MAX_VALUES} and {MAX_CONTAINERS}"):
        parse_object(body)


def test_a_large_text_is_no_large_number_of_values() -> None:
    text = 'if (a) { b["x"] = [1, 2]; }\n' * 300_000
    assert parse_object(orjson.dumps({"model": "m", "text": text})) == {"model": "m", "text": text}
