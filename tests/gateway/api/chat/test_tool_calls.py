"""Tool calls as different providers write them."""

from typing import Any

import pytest

from gateway.api.chat.tool_calls import MAX_CALLS, ToolCalls, call_index
from gateway.provider_errors.failures import Cause, UpstreamFailure


def entry(index: Any, name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "function": {key: value for key, value in function.items() if value is not None}} | more


def test_a_call_that_openai_wrote_stays_as_it_is() -> None:
    calls = ToolCalls()
    first = entry(0, "add", "", id="call_1", type="function")
    assert calls.normalize([first]) == [first]
    assert calls.are_further_arguments([entry(0, None, '{"a"')])
    assert calls.empty_arguments() == []
    calls.check()


@pytest.mark.parametrize(
    ("entries", "further"),
    [
        (None, True),
        ([], True),
        ([entry(0, None, "1"), entry(1, None, "2")], True),
        ([entry(2, None, "1")], False),
        ([entry("0", None, "1")], False),
        ([entry(0, "add", "1")], False),
        ([entry(0, None, {"a": 1})], False),
        ([entry(0, None, "1", id="call_1")], False),
        (entry(0, None, "1"), False),
    ],
)
def test_only_arguments_of_calls_that_have_begun_pass_unchanged(entries: Any, further: bool) -> None:
    calls = ToolCalls()
    calls.normalize([entry(0, "add", "", id="a"), entry(1, "sub", "", id="b")])
    assert calls.are_further_arguments(entries) is further


def test_missing_parts_are_added() -> None:
    (call,) = ToolCalls().normalize({"name": "add", "arguments": {"a": 1}})
    call_id = call.pop("id")
    assert call_id.startswith("call_")
    assert call == {"index": 0, "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


def test_an_id_marks_a_new_call_if_the_index_does_not() -> None:
    calls = ToolCalls()
    assert calls.normalize([entry(0, "add", "{}", id="a"), entry(0, "sub", "{}", id="b")])[1]["index"] == 1
    assert calls.normalize([entry(None, None, " ", id="a")])[0]["index"] == 0
    assert calls.normalize([entry(5, None, " ")])[0]["index"] == 1  # continues the last call
    assert calls.normalize(["no call", entry(None, "mul", "{}")])[0]["index"] == 2


def test_a_name_comes_once_although_a_provider_repeats_it() -> None:
    calls = ToolCalls()
    names = [
        calls.normalize([entry(0, name, None, id="a")])[0]["function"].get("name") for name in ("ad", "add", "add")
    ]
    assert names == ["ad", "d", None]


def test_calls_without_arguments_get_an_empty_object_once() -> None:
    calls = ToolCalls()
    calls.normalize([entry(0, "add", "{}", id="a"), entry(1, "now", "", id="b"), {"index": 2, "id": "c", "custom": {}}])
    assert calls.empty_arguments() == [{"index": 1, "function": {"arguments": "{}"}}]
    assert calls.empty_arguments() == []


def test_a_call_of_a_freeform_tool_has_no_function() -> None:
    given = {"index": 0, "id": "c", "custom": {"name": "patch", "input": "x"}}
    calls = ToolCalls()
    assert calls.normalize([given]) == [given | {"type": "custom"}]
    calls.check()


def test_a_call_without_a_name_and_too_many_calls_are_unreadable() -> None:
    calls = ToolCalls()
    calls.normalize([entry(0, None, "{}", id="a")])
    with pytest.raises(UpstreamFailure, match="without a name") as failed:
        calls.check()
    assert failed.value.cause is Cause.UNREADABLE
    with pytest.raises(UpstreamFailure, match=str(MAX_CALLS)):
        ToolCalls().normalize([{}] * (MAX_CALLS + 1))


@pytest.mark.parametrize(
    ("value", "index"), [(3, 3), ("12", 12), (True, None), (1.0, None), ("-1", None), ("9" * 9, None), ("²", None)]
)
def test_an_index_may_be_digits(value: Any, index: int | None) -> None:
    assert call_index(value) == index
