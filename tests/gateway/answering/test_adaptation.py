"""What is changed in a request that a deployment has refused."""

from typing import Any

import orjson
import pytest

from gateway.answering.adaptation import LIMIT, LOSSLESS, SAMPLING, Change, adapted, change_for, left_out
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.chat_request import ChatRequest, parse_chat
from gateway.request.embeddings_request import parse_embeddings

NONE: frozenset[str] = frozenset()
CALLED = {"role": "assistant", "tool_calls": [{"id": "call_Zk3x9QpWv1aB2c", "type": "function", "function": {}}]}
HISTORY: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "What is the weather?"},
    CALLED | {"reasoning_content": "I must look."},
    {"role": "tool", "tool_call_id": "call_Zk3x9QpWv1aB2c", "content": "rain"},
]
SPLIT: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "And now?"}]}, CALLED]


def chat(messages: list[dict[str, Any]] | None = None, **more: Any) -> ChatRequest:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Why?"}] if messages is None else messages}
    return parse_chat(orjson.dumps(fields | more))


def refused(cause: Cause, field: str | None, reason: str = "") -> UpstreamFailure:
    return UpstreamFailure(cause, 400, field=field, reason=reason)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("developer", "role developer"),
        ("missing_reasoning", "reasoning of calls"),
        ("content", "parts of text"),
        ("tool_call_id", "tool call ids"),
        ("reasoning_content", "reasoning in history"),
    ],
)
def test_what_can_be_said_otherwise_without_loss_is(field: str, name: str) -> None:
    request = chat(HISTORY + SPLIT)
    for free in (False, True):
        change = change_for(refused(Cause.UNSUPPORTED, field), request, NONE, free=free)
        assert change == Change(name, lasting=True)
    assert change_for(refused(Cause.UNSUPPORTED, field), request, frozenset({name}), free=True) is None
    assert change_for(refused(Cause.UNSUPPORTED, field), chat(), NONE, free=True) is None
    assert LOSSLESS[name](chat().fields) is None


def test_refused_roles_are_put_right_step_by_step() -> None:
    request = chat([*HISTORY, {"role": "user", "content": "And now?"}])
    made = NONE
    for name in ("role developer", "order of messages"):
        change = change_for(refused(Cause.UNSUPPORTED, "roles"), adapted(request, made), made, free=False)
        assert change == Change(name, lasting=True)
        made |= {name}
    asked = adapted(request, made)
    assert change_for(refused(Cause.UNSUPPORTED, "roles", "roles must alternate"), asked, made, free=False) == Change(
        "role system", lasting=False
    )
    told = "System role not supported"
    assert change_for(refused(Cause.UNSUPPORTED, "roles", told), asked, made, free=False) == Change("role system", True)
    last = adapted(request, made | {"role system"})
    assert [message["role"] for message in last.fields["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_a_changed_request_says_the_same() -> None:
    request = adapted(chat(HISTORY), frozenset({"role developer", "tool call ids", "reasoning in history"}))
    assert request.fields == orjson.loads(request.body)
    system, _, call, result = request.fields["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert "reasoning_content" not in call
    (called,) = call["tool_calls"]
    assert called["id"] == result["tool_call_id"]
    assert len(called["id"]) == 9
    assert called["id"].isalnum()
    assert HISTORY[0]["role"] == "developer"  # the client's own is as it was


def test_ids_that_all_servers_take_stay_and_others_stay_apart() -> None:
    calls = [{"id": name, "function": {}} for name in ("abcDEF123", "call_1", "call_2", "é" * 9)]
    request = adapted(chat([{"role": "assistant", "tool_calls": calls}]), frozenset({"tool call ids"}))
    ids = [call["id"] for call in request.fields["messages"][0]["tool_calls"]]
    assert ids[0] == "abcDEF123"
    assert len(set(ids)) == 4
    assert all(len(name) == 9 and name.isascii() and name.isalnum() for name in ids)


def test_an_empty_list_of_tools_is_left_out_with_what_goes_with_it() -> None:
    request = chat(tools=[], tool_choice="auto")
    change = change_for(refused(Cause.UNSUPPORTED, "tools"), request, NONE, free=False)
    assert change is not None
    assert adapted(request, frozenset({change.name})).fields.keys() == {"model", "messages"}
    some = chat(tools=[{"type": "function", "function": {"name": "f"}}])
    assert change_for(refused(Cause.UNSUPPORTED, "tools"), some, NONE, free=True) is None


def test_an_unknown_field_is_remembered_and_a_refused_value_is_not() -> None:
    request = chat(seed=1, user="u")
    for free in (False, True):
        assert change_for(refused(Cause.FIELD_REFUSED, "seed"), request, NONE, free=free) == Change(
            "seed", lasting=True
        )
        assert change_for(refused(Cause.VALUE_REFUSED, "user"), request, NONE, free=free) == Change(
            "user", lasting=False
        )
    assert change_for(refused(Cause.FIELD_REFUSED, "seed"), request, frozenset({"seed"}), free=True) is None
    assert change_for(refused(Cause.FIELD_REFUSED, "store"), request, NONE, free=True) is None
    wrong = chat(seed="one")  # the value has a wrong type: the provider may mean that
    assert change_for(refused(Cause.FIELD_REFUSED, "seed"), wrong, NONE, free=True) == Change("seed", lasting=False)


@pytest.mark.parametrize("name", sorted(SAMPLING))
def test_what_shapes_the_answer_is_left_out_only_where_the_gateway_chose_the_model(name: str) -> None:
    request = chat(**{name: 1})
    failure = refused(Cause.UNSUPPORTED, name)
    assert change_for(failure, request, NONE, free=False) is None
    assert change_for(failure, request, NONE, free=True) == Change(name, lasting=False)
    assert left_out(request, frozenset({name})) == (name,)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("reason", "limit"),
    [
        ("max_tokens is too large: 16000. This model supports at most 4096 completion tokens, not 16000.", 4096),
        ("the valid range of max_tokens is [1, 8,192]", 8192),
        ("max_tokens is too large", None),
        (
            "max_tokens is too large: 16000. The context length is 8192 and the request has 5000 (16000 > 8192 - 5000)",
            3192,
        ),
        (
            "max_tokens is too large: 16000. The context length is 8192 and the request has 9000 (16000 > 8192 - 9000)",
            None,
        ),
    ],
)
def test_a_limit_that_is_too_high_becomes_what_the_model_can_write(name: str, reason: str, limit: int | None) -> None:
    request = chat(**{name: 16_000})
    change = change_for(refused(Cause.VALUE_REFUSED, "max_tokens", reason), request, NONE, free=False)
    assert change == Change(LIMIT, lasting=False, limit=limit)
    assert adapted(request, frozenset({LIMIT}), limit).fields.get(name) == limit
    assert left_out(request, frozenset({LIMIT})) == (name,)
    assert (
        change_for(refused(Cause.VALUE_REFUSED, "max_tokens", reason), request, frozenset({LIMIT}), free=False) is None
    )


def test_only_the_clients_own_fields_are_told() -> None:
    request = chat(seed=1, max_tokens=5, stream=True)
    names = frozenset({"seed", "stream_options", "max_tokens", "role developer", "user"})
    assert left_out(request, names) == ("seed",)  # the limit went under its other name


def test_without_a_field_nothing_is_known_to_change() -> None:
    assert change_for(refused(Cause.UNSUPPORTED, None), chat(HISTORY), NONE, free=True) is None


def test_a_request_for_embeddings_has_no_messages_to_change() -> None:
    request = parse_embeddings(b'{"model": "m", "input": "text", "dimensions": 8}')
    for field in ("content", "roles", "tool_call_id", "tools"):
        failure = UpstreamFailure(Cause.FIELD_REFUSED, 400, field=field)
        assert change_for(failure, request, frozenset(), free=False) is None
    unknown = UpstreamFailure(Cause.FIELD_REFUSED, 400, field="dimensions")
    assert (
        change_for(unknown, request, frozenset(), free=False) is None
    )  # no optional field: it changes what the client gets
