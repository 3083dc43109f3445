"""The vote on each field of JSON answers."""

import json

import pytest

from gateway.core.json_types import JsonObject
from gateway.ensemble.merged_json import merged_json

A, B, C = 1.0, 0.9, 0.8


def merge(*answers: tuple[object, float], schema: JsonObject | None = None) -> object:
    texts = [(item if isinstance(item, str) else json.dumps(item), weight) for item, weight in answers]
    merged = merged_json(texts, schema)
    return None if merged is None else json.loads(merged)


def test_each_field_has_the_value_of_most_weight() -> None:
    answers = ({"x": 1, "y": 2, "z": 0}, A), ({"x": 1, "y": 3, "z": 3}, B), ({"x": 5, "y": 3, "z": 3}, C)
    assert merge(*answers) == {"x": 1, "y": 3, "z": 3}


def test_objects_are_merged_field_by_field_and_lists_as_wholes() -> None:
    answers = (
        ({"p": {"a": 1, "b": {"c": 1}}, "l": [1, 2]}, A),
        ({"p": {"a": 2, "b": {"c": 1}}, "l": [1, 3]}, B),
        ({"p": {"a": 2, "b": {"c": 9}}, "l": [1.0, 3.0]}, C),
    )
    assert merge(*answers) == {"p": {"a": 2, "b": {"c": 1}}, "l": [1, 3]}


def test_a_reason_stays_with_the_result_for_which_it_was_given() -> None:
    wrong, right = {"why": "6 + 7", "result": 13}, '{"result":42,   "why": "6 times 7"}'
    merged = merged_json([(json.dumps(wrong), A), (right, B), ('{"why": "7 sixes", "result": 42.0}', C)], None)
    assert merged == right  # the text of the answer itself


def test_a_field_that_most_members_leave_out_is_left_out() -> None:
    assert merge(({"x": 1, "y": 2}, A), ({"x": 1}, B), ({"x": 1.0}, C)) == {"x": 1}
    assert merge(({"x": 1}, A), ({"x": 1, "y": {}}, B), ({"x": 1.0, "y": {}}, C)) == {"x": 1, "y": {}}


@pytest.mark.parametrize(
    "answers",
    [
        [({"x": 1}, A)],
        [({"x": 1}, A), ("no JSON", B)],
        [({"x": 1}, A), ([1], B)],
        [({"x": 1}, A), ({"x": 2}, B)],  # no two agree: the answer of the most weight
        [({"x": 1, "y": 1}, A), ({"x": 1, "y": 2}, B), ({"x": 1, "y": 3}, C)],
        [({"x": 1}, 3.0), ({"x": 2}, B), ({"x": 2}, C)],  # outweighs both
        [({"x": 1}, A), ({"x": 1.0}, B)],
        [("[" * 5_000, A), ("{" * 5_000, B)],
    ],
)
def test_nothing_is_merged_where_the_answer_of_the_most_weight_is_sent_anyway(
    answers: list[tuple[object, float]],
) -> None:
    assert merge(*answers) is None


def test_a_result_that_the_schema_forbids_is_none() -> None:
    answers = ({"x": 1, "y": 2}, A), ({"x": 3, "y": 4}, B), ({"x": 3, "y": 2}, C)
    allowed: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}}
    forbidden: JsonObject = {"type": "object", "properties": {"x": {"enum": [1]}}}
    assert merge(*answers, schema=allowed) == {"x": 3, "y": 2}
    assert merge(*answers, schema=forbidden) is None
