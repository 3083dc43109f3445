"""Messages requests as chat requests."""

import asyncio
from typing import Any

import anthropic
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.messages.dialect import Messages
from gateway.api.messages.tools_to_chat import short_name
from gateway.core.errors import InvalidRequest
from gateway.request.chat_request import ChatRequest
from tests.gateway.upstreams import ScriptedProvider, reply

ASK: dict[str, Any] = {"role": "user", "content": "What is 2 + 2?"}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PIXEL_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
ADD = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "auto", "max_tokens": 100, "messages": list(messages) or [ASK]} | more


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return parse(body(*messages, **more)).fields


def parse(fields: Any, **headers: str) -> ChatRequest:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(Messages().parse(orjson.dumps(fields), given))


def user(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


def use(call: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": "add", "input": {"a": 1}} | more


def result(call: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": content} | more


def test_a_simple_request() -> None:
    fields = chat(ASK, system="Be brief.", temperature=0.5, top_p=1, top_k=5, stop_sequences=["END"], stream=True)
    assert fields == {
        "model": "auto",
        "messages": [{"role": "system", "content": "Be brief."}, ASK],
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["END"],
        "stream": True,
    }


def test_system_blocks_are_one_message_without_what_changes_in_every_request() -> None:
    blocks = [text("x-anthropic-billing-header: cc_version=2.1; cch=fa690;"), text("Be brief."), text("Be kind.")]
    assert chat(ASK, system=blocks)["messages"][0] == {"role": "system", "content": "Be brief.\n\nBe kind."}


def test_a_later_system_turn_is_told_inside_the_turn_before_it() -> None:
    turns = [ASK, {"role": "system", "content": "90 tokens left"}]
    messages = parse(body(*turns, system="Be brief.")).fields["messages"]
    told = f"{ASK['content']}\n\n<system-reminder>\n90 tokens left\n</system-reminder>"
    assert messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": told}]


def test_a_turn_that_says_nothing_is_left_out() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    searched = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    assert chat(ASK, assistant(thought, searched), ASK)["messages"] == [ASK, ASK]


def test_more_stop_sequences_than_chat_takes_are_told() -> None:
    request = parse(body(ASK, stop_sequences=["", *"abcdef"]))
    assert request.fields["stop"] == list("abcd")
    assert request.left_out == ("stop_sequences",)
    assert parse(body(ASK, stop_sequences=["a", ""])).left_out == ()


def test_content_parts() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    words = {"type": "text", "media_type": "text/plain", "data": "a report"}
    link = {"type": "url", "url": "https://example.com/a.pdf"}
    inner = {"type": "content", "content": [text("inner"), {"type": "image", "source": PIXEL}]}
    found = {"type": "search_result", "title": "T", "source": "https://s", "content": [text("found")]}
    turn = user(
        text("look"),
        {"type": "image", "source": PIXEL},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": pdf, "title": "Report"},
        {"type": "document", "source": words, "title": "Notes", "context": "of May"},
        {"type": "document", "source": link},
        {"type": "document", "source": inner},
        found,
        {"type": "hologram", "of": "a later version of the API"},
    )
    parts = chat(turn)["messages"][0]["content"]
    assert parts == [
        {"type": "text", "text": "look"},
        PIXEL_PART,
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "Report.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "text", "text": "of May"},
        {"type": "text", "text": "Notes\n\na report"},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://example.com/a.pdf"}},
        {"type": "text", "text": "inner"},
        PIXEL_PART,
        {"type": "text", "text": "T\nhttps://s\nfound"},
    ]
    assert parse(body(turn)).requirements.capabilities >= {"vision"}


def test_a_tool_loop() -> None:
    messages = chat(
        ASK,
        assistant(text("Let me "), text("see."), use("t1"), use("t2")),
        user(text("Go on."), result("t1", "2"), result("t2", [text("no"), text("good")], is_error=True)),
        assistant(use("t3")),
        user(result("t3", None)),
    )["messages"]
    function = {"name": "add", "arguments": '{"a":1}'}
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": call, "type": "function", "function": function} for call in ("t1", "t2")],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "2"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error:\nno\ngood"},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "t3", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "t3", "content": ""},
    ]


def test_an_image_in_a_result_follows_in_a_message_since_chat_tools_give_text_alone() -> None:
    shown = result("t1", [text("a cat"), {"type": "image", "source": PIXEL}])
    messages = chat(ASK, assistant(use("t1"), use("t2")), user(shown, result("t2", "3"), text("Well?")))["messages"]
    assert [message["role"] for message in messages[2:]] == ["tool", "tool", "user"]
    assert messages[2]["content"].startswith("a cat\n")
    label, picture, words = messages[4]["content"]
    assert "t1" in label["text"]
    assert (picture, words) == (PIXEL_PART, {"type": "text", "text": "Well?"})


def test_turns_in_a_row_are_one_turn() -> None:
    messages = chat(
        ASK,
        ASK,
        assistant(use("t1")),
        assistant(use("t2")),
        user(result("t1", "1"), text("hm")),
        user(result("t2", "2")),
    )["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert [part["text"] for part in messages[0]["content"]] == [ASK["content"]] * 2
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["t1", "t2"]
    assert messages[4]["content"] == "hm"


def test_thinking_stays_where_it_is_signed() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
    redacted = {"type": "redacted_thinking", "data": "Em8K"}
    unsigned = {"type": "thinking", "thinking": "by another model", "signature": ""}
    message = chat(ASK, assistant(signed, redacted, unsigned, text("4")), ASK)["messages"][1]
    kept = {"thinking_blocks": [signed, redacted], "reasoning_content": "by another model"}
    assert message == {"role": "assistant", "content": "4"} | kept
    alone = chat(ASK, assistant(signed), ASK)["messages"][1]
    assert alone == {"role": "assistant", "content": "", "thinking_blocks": [signed]}


def test_the_providers_own_tools_in_the_history_leave_a_gap_between_texts() -> None:
    searched = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
    ]
    message = chat(ASK, assistant(text("I look."), *searched, text("It is"), text(" four.")), ASK)["messages"][1]
    assert message == {"role": "assistant", "content": "I look.\n\nIt is four."}


def test_a_beginning_of_the_answer_stays_the_last_message() -> None:
    prefill = {"role": "assistant", "content": "The answer is ("}
    assert chat(ASK, prefill)["messages"][-1] == prefill


def test_tools() -> None:
    fields = chat(ASK, tools=[ADD | {"type": "custom", "cache_control": None}, SEARCH])
    assert fields["tools"] == [
        {
            "type": "function",
            "function": {"name": "add", "description": "Adds.", "parameters": ADD["input_schema"]},
        }
    ]
    assert "tool_choice" not in fields
    closed = {
        "type": "object",
        "properties": {"a": {"type": "number"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    strict = chat(ASK, tools=[{"name": "f", "input_schema": closed, "strict": True}, ADD | {"strict": True}])["tools"]
    assert [tool["function"].get("strict") for tool in strict] == [True, None]  # chat would refuse the other schema


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "add"}, {"tool_choice": {"type": "function", "function": {"name": "add"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = chat(ASK, tools=[ADD, SEARCH], tool_choice=choice)
    assert {key: fields[key] for key in fields if key in ("tool_choice", "parallel_tool_calls")} == expected


def test_a_long_name_is_cut_everywhere_alike() -> None:
    name = "mcp__" + "a_server_with_a_long_name__" * 3 + "add"
    fields = chat(
        ASK,
        assistant(use("t1", name=name)),
        user(result("t1", "2")),
        tools=[ADD | {"name": name}, ADD | {"name": name + "2"}],
        tool_choice={"type": "tool", "name": name},
    )
    cut = short_name(name)
    assert len(cut) == 64
    assert cut != short_name(name + "2")
    assert fields["tools"][0]["function"]["name"] == cut
    assert fields["tool_choice"]["function"]["name"] == cut
    assert fields["messages"][1]["tool_calls"][0]["function"]["name"] == cut


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, "tools.web_search_20250305"),
        (
            {"tools": [ADD, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
            "tool_choice.name: web_search",
        ),
        ({"tools": [SEARCH]}, "tools.web_search_20250305"),
        ({"tools": [SEARCH], "tool_choice": {"type": "auto"}}, "tools.web_search_20250305"),
        ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, "mcp_servers"),
        (
            {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [user({"type": "document", "source": {"type": "file", "file_id": "f"}})]},
            "messages[0].content[0].source",
        ),
        ({"messages": [user({"type": "container_upload", "file_id": "f"})]}, "messages[0].content[0]"),
    ],
)
def test_what_only_a_provider_of_this_api_can_do(more: dict[str, Any], field: str) -> None:
    requirements = parse(body(ASK) | more).requirements
    assert (requirements.api, requirements.api_field) == ("messages", field)


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ({"tools": [ADD, SEARCH], "tool_choice": {"type": "auto"}}, ("tools.web_search_20250305",)),
        ({"tools": [SEARCH], "tool_choice": {"type": "none"}}, ("tools.web_search_20250305",)),
        ({"tools": [ADD], "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, ("mcp_servers",)),
        ({"tools": [ADD, {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}]}, ()),
        ({"tools": [ADD | {"defer_loading": True}], "mcp_servers": []}, ()),
    ],
)
def test_the_providers_tools_beside_others_are_left_out_and_told(more: dict[str, Any], left_out: tuple[str]) -> None:
    request = parse(body(ASK, **more))
    assert request.requirements.api is None
    assert request.left_out == left_out


def test_what_a_search_for_tools_found_is_told() -> None:
    found = result("t1", [{"type": "tool_reference", "tool_name": "add"}])
    assert "add" in chat(ASK, assistant(use("t1")), user(found))["messages"][2]["content"]


@pytest.mark.parametrize(
    ("more", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, "high"),
        ({"output_config": {"effort": "max"}}, "high"),
        ({"output_config": {"effort": "unheard of"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "high"}}, "high"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, None),
    ],
)
def test_effort(more: dict[str, Any], effort: str | None) -> None:
    assert chat(ASK, **more).get("reasoning_effort") == effort


@pytest.mark.parametrize("closed", [True, False])
def test_structured_output(closed: bool) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    if closed:
        schema["additionalProperties"] = False
    form = {"type": "json_schema", "schema": schema}
    described = {"name": "output", "schema": schema} | ({"strict": True} if closed else {})
    expected = {"type": "json_schema", "json_schema": described}
    assert chat(ASK, output_config={"format": form})["response_format"] == expected
    assert chat(ASK, output_format=form)["response_format"] == expected
    assert parse(body(ASK, output_format=form)).requires_json


def test_the_user_fits_chat() -> None:
    assert chat(ASK, metadata={"user_id": "u-1"})["user"] == "u-1"
    long = chat(ASK, metadata={"user_id": '{"device_id":"%s","session_id":"1"}' % ("0" * 64)})["user"]
    assert len(long) == 64
    assert long == chat(ASK, metadata={"user_id": '{"device_id":"%s","session_id":"1"}' % ("0" * 64)})["user"]


def test_the_native_form_is_the_clients_own() -> None:
    sent = b'{"model": "auto",  "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "new": {"field": 1}}'
    headers = {
        b"anthropic-version": b"2023-06-01",
        b"anthropic-beta": b"a,b",
        b"anthropic-workspace-id": b"wrkspc_1",
        b"anthropic-dangerous-direct-browser-access": b"true",
        b"x-api-key": b"k",
        b"host": b"h",
    }
    request = asyncio.run(Messages().parse(sent, headers))
    native = request.native
    assert native is not None
    assert (native.api, native.body) == ("messages", sent)
    assert native.headers == {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    assert native.upstream_body("claude") == sent.replace(b'"auto"', b'"claude"')
    assert orjson.loads(request.upstream_body("gpt")) == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
    }


def test_no_tokens_at_all_only_warm_a_cache() -> None:
    assert parse(body(ASK) | {"max_tokens": 0}).requirements.output_tokens == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": None}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [ASK, user("hi")]}, "messages[1].content[0]"),  # type: ignore[arg-type]
        ({"messages": [user({})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        ({"messages": [user({"type": "image", "source": 5})]}, "messages[0].content[0].source"),
        ({"messages": [user({"type": "image", "source": {"type": "x"}})]}, "messages[0].content[0].source.type"),
        (
            {"messages": [user(text("a"), {"type": "image", "source": {"type": "base64", "media_type": "image/png"}})]},
            "messages[0].content[1].source.data",
        ),
        ({"messages": [user({"type": "tool_result"})]}, "messages[0].content[0].tool_use_id"),
        ({"messages": [user(result("t", [5]))]}, "messages[0].content[0].content[0]"),
        ({"messages": [user(result("t", "x", is_error="yes"))]}, "messages[0].content[0].is_error"),
        ({"messages": [ASK, assistant(use("t", input="x"))]}, "messages[1].content[0].input"),
        ({"messages": [ASK, assistant({"type": "thinking"})]}, "messages[1].content[0].thinking"),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "x"}}, "tool_choice.type"),
        ({"tools": [ADD], "tool_choice": {"type": "tool", "name": "sub"}}, "tool_choice.name"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({key: value for key, value in (body(ASK) | fields).items() if value is not None})
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


# Any JSON whatever, and requests that are nearly right: known words at places where they may or may not belong.
WORDS = """model auto max_tokens messages role user assistant system content type text image document source base64 url file
media_type data tool_use tool_result tool_use_id id name input is_error thinking signature redacted_thinking tools input_schema
properties tool_choice any tool none disable_parallel_tool_use strict stop_sequences metadata user_id enabled budget_tokens
output_config effort format json_schema schema stream title context container_upload search_result custom""".split()  # noqa: SIM905
LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.sampled_from(WORDS) | st.text(max_size=3)
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
BLOCK_TYPES = ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result"]
FILLED: dict[str, Any] = {
    "text": "t", "source": PIXEL, "tool_use_id": "t1", "id": "t1", "name": "add", "input": {}, "thinking": "hm",
    "data": "x", "title": "T", "content": "c",
}  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A right request, one value of which is replaced by anything."""
    block = FILLED | {"type": draw(st.sampled_from(BLOCK_TYPES))}
    role = draw(st.sampled_from(["user", "assistant", "system"]))
    request = body(
        {"role": role, "content": [block, use("t2")]}, user(result("t1", [block])),
        system=[text("s")], tools=[ADD, SEARCH], tool_choice={"type": "tool", "name": "add"}, metadata={"user_id": "u"},
        thinking={"type": "enabled", "budget_tokens": 5}, stop_sequences=["x"], temperature=1, stream=True,
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    )  # fmt: skip
    copy = orjson.loads(orjson.dumps(request))
    found: Any = copy
    while True:
        keys = list(found) if isinstance(found, dict) else list(range(len(found)))
        key = draw(st.sampled_from(keys))
        if not isinstance(found[key], dict | list) or not found[key] or draw(st.booleans()):
            found[key] = draw(ANY)
            return copy
        found = found[key]


@settings(max_examples=400, deadline=None)
@given(ANY | spoiled())
def test_any_json_is_a_request_or_an_invalid_one(fields: Any) -> None:
    try:
        request = parse(fields)
    except InvalidRequest:
        return
    assert orjson.loads(request.body)["messages"]
    assert request.query is not None


@pytest.mark.parametrize("levels", range(244, 256))
def test_no_depth_is_more_than_is_told(levels: int) -> None:
    """The translation may be deeper than what was read, and must be written too."""
    schema = b'{"a":' * levels + b"1" + b"}" * levels
    sent = b'{"model":"auto","max_tokens":5,"messages":[{"role":"user","content":"hi"}],'
    sent += b'"tools":[{"name":"f","input_schema":%b}]}' % schema
    try:
        request = asyncio.run(Messages().parse(sent, {}))
    except InvalidRequest:
        assert levels > 244
    else:
        assert schema in request.body


@pytest.mark.anyio
async def test_the_clients_library_says_what_it_is_told() -> None:
    error = InvalidRequest("`max_tokens` is missing.", param="max_tokens")
    async with ScriptedProvider(reply(400, Messages().error(error, "req-1"), {"request-id": "req-1"})) as up:
        url = up.base_url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
            with pytest.raises(anthropic.BadRequestError) as caught:
                await client.messages.create(model="auto", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message == error.message
    assert caught.value.body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": error.message},
        "request_id": "req-1",
    }
