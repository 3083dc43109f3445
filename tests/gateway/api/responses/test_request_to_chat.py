"""Responses requests as chat requests: what is translated, what is refused, and what upstreams of the same format get."""

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.responses.dialect import Responses
from gateway.api.responses.encrypted_reasoning import is_encrypted_reasoning_error, without_reasoning_items
from gateway.api.responses.request_to_chat import (
    MAX_ECHOED_BYTES,
    echoed_fields,
    input_items,
    referenced_ids,
    resolved_items,
    translate,
)
from gateway.core.errors import InvalidRequest
from gateway.request.agent_turns import RESULT_OF
from gateway.request.chat_request import ChatRequest
from gateway.request.chat_templates import MEDIA_NOTE
from tests.gateway.api.exchanges import FUNCTION, PATCH, complete, dialect, parsed

pytestmark = pytest.mark.anyio
CALL = {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "weather", "arguments": '{"x":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "sunny"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
TEXT_PNG = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "original"}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


async def chat(**fields: Any) -> dict[str, Any]:
    return (await parsed(dialect(), **fields)).fields


async def test_a_string_is_one_message_of_the_user() -> None:
    request = await parsed(dialect(), input="hi", instructions="Be brief.", stream=True)
    assert request.fields == {
        "model": "auto",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
    }
    assert request.query == "hi"
    assert request.stream


async def test_what_the_developer_says_first_belongs_to_the_instructions() -> None:
    items = [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}],
        },
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "C"},
    ]
    assert (await chat(instructions="I", input=items))["messages"] == [
        {"role": "system", "content": "I\n\nA\nB"},
        {"role": "user", "content": "hi\n\n<system-reminder>\nC\n</system-reminder>"},
    ]


async def test_the_items_of_one_turn_are_one_message_of_the_assistant() -> None:
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    items = [
        user({"type": "input_text", "text": "hi"}),
        REASONING,
        said | {"content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]},
        CALL,
        CALL | {"call_id": "b", "arguments": ""},
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": 'a "b"\n'},
        said
        | {"content": [{"type": "output_text", "text": "Three calls."}, {"type": "refusal", "refusal": "No more."}]},
        OUTPUT,
        OUTPUT | {"call_id": "b", "output": [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}]},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    function = {"name": "weather", "arguments": '{"x":1}'}
    assert (await chat(input=items, tools=[FUNCTION, PATCH]))["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Let me see.\n\nThree calls.\nNo more.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": function},
                {"id": "b", "type": "function", "function": function | {"arguments": "{}"}},
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "apply_patch", "arguments": '{"input":"a \\"b\\"\\n"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "b", "content": "1\n2"},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
        {"role": "assistant", "content": "It is sunny."},
    ]


async def test_one_call_after_another_stays_so() -> None:
    items = [{"role": "user", "content": "hi"}, CALL, OUTPUT, CALL | {"call_id": "b"}, OUTPUT | {"call_id": "b"}]
    roles = [message["role"] for message in (await chat(input=items))["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


async def test_images_files_and_audio() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}
    request = await parsed(dialect(), input=[user({"type": "input_text", "text": "x"}, TEXT_PNG, file, audio)])
    assert request.fields["messages"][0]["content"] == [
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
        audio,
    ]
    assert {"vision", "audio"} <= request.requirements.capabilities
    assert request.requirements.api is None


async def test_an_image_that_a_tool_gave_is_shown_after_its_outputs() -> None:
    items = [
        {"role": "user", "content": "hi"},
        CALL,
        CALL | {"call_id": "b"},
        OUTPUT | {"output": [TEXT_PNG]},
        OUTPUT | {"call_id": "b", "output": [{"type": "input_text", "text": "x"}]},
    ]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}}
    assert (await chat(input=items))["messages"][2:] == [
        {"role": "tool", "tool_call_id": "a", "content": MEDIA_NOTE},
        {"role": "tool", "tool_call_id": "b", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": RESULT_OF.format(call="a")}, image]},
    ]


async def test_outputs_stand_behind_their_calls_whatever_comes_between() -> None:
    items = [
        {"role": "user", "content": "hi"},
        CALL,
        {"role": "user", "content": "wait"},
        REASONING,
        CALL | {"call_id": "b"},
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "x"},
        {"role": "developer", "content": "note"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        OUTPUT,
    ]
    messages = (await chat(input=items))["messages"]
    said = [(m["role"], m.get("tool_call_id"), m["content"]) for m in messages]
    assert said == [
        ("user", None, "hi"),
        ("assistant", None, None),
        ("tool", "a", "sunny"),
        ("user", None, "wait"),
        ("assistant", None, None),
        ("tool", "b", "(no result)"),
        ("tool", "c", "done\n\n<system-reminder>\nnote\n</system-reminder>"),
    ]


async def test_an_output_that_belongs_to_no_call_is_said_by_the_user() -> None:
    tick = {"type": "function_call_output", "name": "automation_update", "output": "tick"}
    messages = (await chat(input=[CALL, tick, OUTPUT]))["messages"]
    assert [(m["role"], m["content"]) for m in messages] == [("assistant", None), ("tool", "sunny"), ("user", "tick")]


async def test_calls_of_other_tools_that_the_client_runs_stay_in_the_conversation() -> None:
    items = [
        {"role": "user", "content": "hi"},
        {"type": "local_shell_call", "id": "l", "call_id": "a", "status": "completed", "action": {"command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "a", "output": "a.txt"},
        {"type": "apply_patch_call", "call_id": "b", "status": "completed", "operation": {"type": "delete_file"}},
        {"type": "apply_patch_call_output", "call_id": "b", "status": "completed", "output": "gone"},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "x", "stderr": ""}]},
        {"type": "computer_call", "call_id": "d", "action": {"type": "screenshot"}},
        {"type": "computer_call_output", "call_id": "d", "output": {"type": "computer_screenshot", "image_url": "http://x"}},
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {"type": "shell_call_output", "call_id": "x", "output": []},
    ]  # fmt: skip
    messages = (await chat(input=items))["messages"]
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    assert calls[:2] == [
        {"name": "local_shell", "arguments": '{"action":{"command":["ls"]}}'},
        {"name": "apply_patch", "arguments": '{"operation":{"type":"delete_file"}}'},
    ]
    outputs = [message["content"] for message in messages if message["role"] == "tool"]
    assert outputs == ["a.txt", "gone", '[{"stdout":"x","stderr":""}]', MEDIA_NOTE]
    assert messages[-1]["content"][1] == {"type": "image_url", "image_url": {"url": "http://x"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_output_tokens": 9}, {"max_completion_tokens": 9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low", "format": {"type": "text"}}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}, {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}),
        ({"service_tier": "flex", "metadata": {"a": "b"}}, {"service_tier": "flex", "metadata": {"a": "b"}}),
        ({"store": True}, {"store": True}),
        ({"store": False, "truncation": "auto", "max_tool_calls": 3, "background": False, "stream_options": {}}, {}),
        ({"brand_new": 1}, {}),
        ({"temperature": None, "tools": None, "text": None, "reasoning": None, "include": None, "stream": None}, {}),
    ],
)  # fmt: skip
async def test_fields(given: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = await chat(**given)
    assert {key: value for key, value in fields.items() if key not in ("model", "messages")} == expected


NESTED = {"type": "function", "function": {key: value for key, value in FUNCTION.items() if key != "type"}}
NAMED = {"type": "function", "function": {"name": "weather"}}
SEARCH = {"type": "web_search"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tools": [FUNCTION, SEARCH], "parallel_tool_calls": False}, {"tools": [NESTED], "parallel_tool_calls": False}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tools": [NESTED], "tool_choice": "required"}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "weather"}}, {"tools": [NESTED], "tool_choice": NAMED}),
        ({"tools": [SEARCH, {"type": "mcp", "server_label": "x"}], "tool_choice": "auto"}, {}),
        ({"tools": []}, {}),
        (
            {"tools": [FUNCTION, FUNCTION | {"name": "b"}], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}},
            {"tools": [NESTED], "tool_choice": "required"},
        ),
    ],
)  # fmt: skip
async def test_tools(given: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = await chat(**given)
    assert {key: value for key, value in fields.items() if key not in ("model", "messages")} == expected


async def test_a_freeform_tool_is_a_function_with_one_string() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
    fields = await chat(tools=[PATCH | {"format": grammar}], tool_choice={"type": "custom", "name": "apply_patch"})
    function = fields["tools"][0]["function"]
    assert function["name"] == "apply_patch"
    assert function["description"].startswith("Changes files.\n\n")
    assert "start: X" in function["description"]
    assert list(function["parameters"]["properties"]) == function["parameters"]["required"] == ["input"]
    assert fields["tool_choice"] == {"type": "function", "function": {"name": "apply_patch"}}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tools": [SEARCH], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION, SEARCH], "tool_choice": SEARCH}, "tool_choice"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice"),
        ({"input": [user({"type": "input_image", "file_id": "f"})]}, "input[0].content[0].file_id"),
        ({"input": [user({"type": "input_file", "file_url": "http://x"})]}, "input[0].content[0].file_url"),
        ({"input": [user({"type": "input_text", "text": "a"}, {"type": "input_video"})]}, "input[0].content[1].type"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0].type"),
    ],
)
async def test_what_chat_cannot_say_is_for_upstreams_of_the_same_format(fields: dict[str, Any], name: str) -> None:
    request = await parsed(dialect(), **fields)
    assert (request.requirements.api, request.requirements.api_field) == ("responses", name)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"model": None}, "model", "null"),
        ({"model": ""}, "model", "empty"),
        ({"input": None}, "input", "null"),
        ({"input": []}, "input", "nothing to answer"),
        ({"input": [REASONING]}, "input", "nothing to answer"),
        ({"input": 5}, "input", "a number"),
        ({"input": ["x"]}, "input[0]", "a string"),
        ({"input": [{"role": "user"}]}, "input[0].content", "null"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "`tool`"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]", "a string"),
        ({"input": [user({"type": "input_text"})]}, "input[0].content[0].text", "missing"),
        ({"input": [user({"type": ["x"]})]}, "input[0].content[0].type", "a list"),
        ({"input": [user({"type": "input_image"})]}, "input[0].content[0].file_id", "image_url"),
        ({"input": [user({"type": "input_audio", "input_audio": 1})]}, "input[0].content[0].input_audio", "a number"),
        ({"input": [{}]}, "input[0].type", "null"),
        ({"input": [{"type": 5}]}, "input[0].type", "a number"),
        ({"input": [CALL | {"arguments": {}}]}, "input[0].arguments", "an empty object"),
        ({"input": [OUTPUT]}, "input[0].call_id", "not in the input"),
        ({"input": [CALL, OUTPUT | {"output": 5}]}, "input[1].output", "a number"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id", "not found"),
        ({"input": [{"id": "msg_1"}]}, "input[0].id", "not found"),
        ({"input": [{"type": "item_reference", "id": 5}]}, "input[0].id", "a number"),
        ({"instructions": ["x"]}, "instructions", "a list"),
        ({"stream": 1}, "stream", "a number"),
        ({"stream_options": []}, "stream_options", "an empty list"),
        ({"temperature": True}, "temperature", "a boolean"),
        ({"max_output_tokens": 0}, "max_output_tokens", "at least 1"),
        ({"max_output_tokens": 1.5}, "max_output_tokens", "a number"),
        ({"reasoning": "high"}, "reasoning", "a string"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "a number"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type", "`yaml`"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "missing"),
        ({"tools": {}}, "tools", "an empty object"),
        ({"tools": ["x"]}, "tools[0]", "a string"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing"),
        ({"tools": [FUNCTION | {"parameters": 5}]}, "tools[0].parameters", "a number"),
        ({"tools": [FUNCTION], "tool_choice": "any"}, "tool_choice", "`any`"),
        ({"tools": [FUNCTION], "tool_choice": 5}, "tool_choice", "a number"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name", "`x`"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools", "missing"),
        ({"include": "x"}, "include", "a string"),
        ({"metadata": []}, "metadata", "an empty list"),
        ({"background": True}, "background", "not supported"),
        ({"prompt": {"id": "p"}}, "prompt", "template"),
        ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
        ({"previous_response_id": 5}, "previous_response_id", "a number"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "'resp_1' not found"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await parsed(dialect(), **fields)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert says in caught.value.message


async def test_a_body_that_is_no_json() -> None:
    for body in (b"{", b"[]", b'"x"', b"[" * 5000):
        with pytest.raises(InvalidRequest):
            await dialect().parse(body, {})


@pytest.mark.parametrize("depth", range(244, 254))
async def test_no_depth_is_too_much_for_the_answer(depth: int) -> None:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"a": schema}
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    function = FUNCTION | {"parameters": schema}
    for fields in ({"text": form}, {"tools": [function]}):
        body = json.dumps({"model": "m", "input": "x"} | fields).encode()
        given = dialect()
        try:
            request = await given.parse(body, {})
        except InvalidRequest:  # named as such; anything else is a failure
            continue
        assert json.loads(given.complete_answer(request, complete({"content": "x"}), "m"))["output"]
        assert given.writer(request).end(None, "m")


async def test_upstreams_of_the_same_format_get_the_bytes() -> None:
    body = b'{ "model": "auto",  "input": [{"role": "user", "content": "hi"}], "brand_new": {"x": 1.0} }'
    request = await dialect().parse(body, {b"openai-beta": b"x=1", b"authorization": b"secret"})
    assert request.native is not None
    assert request.native.api == "responses"
    assert request.native.upstream_body("gpt") == body.replace(b"auto", b"gpt")
    assert request.native.headers == {"openai-beta": "x=1"}
    assert request.native.fields["brand_new"] == {"x": 1.0}


async def test_reasoning_items_of_the_gateway_are_sent_to_no_provider() -> None:
    own = {"type": "reasoning", "id": "rs_locus_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    request = await parsed(dialect(), input=[user({"type": "input_text", "text": "hi"}), own, REASONING])
    assert request.native is not None
    assert [item.get("id") for item in orjson.loads(request.native.body)["input"]] == [None, "rs_1"]


def test_encrypted_reasoning_is_taken_out() -> None:
    fields = {"model": "m", "input": [user("x"), REASONING, CALL, OUTPUT | {"id": "fco_1"}, "odd"]}
    nameless = {key: value for key, value in CALL.items() if key != "id"}
    assert without_reasoning_items(fields) == {
        "model": "m",
        "input": [user("x"), nameless, OUTPUT | {"id": "fco_1"}, "odd"],
    }
    assert without_reasoning_items({"input": "x"}) is None
    assert without_reasoning_items({"input": [user("x")]}) is None


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        ({"code": "invalid_encrypted_content", "message": "x"}, True),
        ({"code": None, "message": "The encrypted content gAAA... could not be verified."}, True),
        ({"code": "invalid_prompt", "message": "x"}, False),
        ({"message": 5}, False),
    ],
)
def test_errors_about_encrypted_reasoning(error: dict[str, Any], is_one: bool) -> None:
    assert is_encrypted_reasoning_error(error) is is_one


def test_an_error_has_the_shape_of_the_api() -> None:
    body = orjson.loads(dialect().error(InvalidRequest("no", param="input"), "id"))
    assert body == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "input", "code": "invalid_request"}
    }


WORDS = st.sampled_from(
    """type role content input text user assistant developer message function_call function_call_output call_id name output
    custom_tool_call input_image image_url file_id input_file file_data input_audio reasoning item_reference id refusal tools
    function custom format grammar syntax definition tool_choice allowed_tools mode auto required json_schema schema strict
    include message.output_text.logprobs top_logprobs parameters instructions web_search summary effort detail a namespace tool_search execution client arguments""".split()  # noqa: SIM905
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1 << 70) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)
ITEM = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "message",
                "function_call",
                "function_call_output",
                "custom_tool_call",
                "reasoning",
                None,
                5,
                "tool_search_call",
                "tool_search_output",
                "local_shell_call",
                "computer_call_output",
                "additional_tools",
            ]
        )
    },
    optional=dict.fromkeys(
        ("role", "content", "call_id", "name", "arguments", "output", "input", "id", "tools", "namespace"), JSON
    ),
)
FIELDS = """input instructions tools tool_choice text reasoning include top_logprobs max_output_tokens temperature metadata stream
    previous_response_id background prompt conversation store user parallel_tool_calls truncation stream_options""".split()  # noqa: SIM905


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), st.none() | st.lists(ITEM | JSON, max_size=4))
def test_any_json_is_read_or_refused(fields: dict[str, Any], items: list[Any] | None) -> None:
    body = {"model": "m", "input": "x"} | fields | ({} if items is None else {"input": items})
    request = asyncio.run(_read(dialect(), json.dumps(body).encode()))
    assert request is None or request.native is not None


async def _read(given: Responses, body: bytes) -> ChatRequest | None:
    try:
        request = await given.parse(body, {})
        data = given.writer(request).end(None, "m")
        assert data.startswith(b"event: response.created\n")
    except InvalidRequest:
        return None
    return request


def test_large_fields_are_not_echoed() -> None:
    fields = {"model": "m", "input": "hi", "instructions": "x" * MAX_ECHOED_BYTES, "tools": []}
    assert echoed_fields(fields, 100) is fields
    assert echoed_fields(fields, MAX_ECHOED_BYTES + 1) == {"model": "m", "tools": []}


def test_references_are_replaced_by_stored_items() -> None:
    reference, message = {"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "hi"}
    assert referenced_ids([reference, message, {"id": "msg_2"}]) == {"msg_1", "msg_2"}
    assert resolved_items([message, reference], {"msg_1": OUTPUT}) == [message, OUTPUT]
    for items, param in (([reference], "input[0].id"), ([reference, reference], "input[1].id")):
        with pytest.raises(InvalidRequest) as caught:
            resolved_items(items, {"msg_1": OUTPUT} if len(items) > 1 else {})
        assert caught.value.param == param


def test_input_as_items() -> None:
    assert input_items({"input": "hi"}) == [user({"type": "input_text", "text": "hi"}) | {"type": "message"}]
    assert input_items({"previous_response_id": "resp_1"}) == []
    with pytest.raises(InvalidRequest) as caught:
        input_items({"input": [{}, 5]})
    assert caught.value.param == "input[1]"


def test_a_request_that_continues_a_conversation() -> None:
    fields = {"model": "m", "max_output_tokens": 9, "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}}
    translation = translate(fields, [{"role": "user", "content": "a"}, CALL], [OUTPUT])
    assert [message["role"] for message in translation.fields["messages"]] == ["user", "assistant", "tool"]
    assert translation.fields["max_completion_tokens"] == 9
    assert (translation.fields["reasoning_effort"], translation.fields["verbosity"]) == ("low", "low")
    assert (translation.native_only, translation.left_out) == (None, ())
