"""Stored responses over HTTP, with OpenAI's own client: fetched, listed, deleted; and a native stream that breaks."""

from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from gateway.http.stored_responses import full_item
from tests.conformance import validate
from tests.gateway.api.exchanges import events, proper
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, answer, stream

pytestmark = pytest.mark.anyio
NONE: dict[str, Any] = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}}
STARTED = NONE | {
    "id": "resp_n", "object": "response", "created_at": 5, "status": "in_progress", "model": "up-llama-70b", "output": [],
    "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "temperature": 1, "top_p": 1,
}  # fmt: skip


def kept(folder: Path) -> dict[str, Any]:
    return {"record": str(folder / "record.db"), "responses": str(folder / "responses.db")}


async def fetched(run: Gateway, path: str) -> httpx.Response:
    """By the key that the client has: no other client gets what is stored for it."""
    return await run.http.get(f"/v1/responses/{path}", headers={"authorization": f"Bearer {run.client.api_key}"})


async def ask(run: Gateway, text: str, **more: Any) -> Any:
    return await run.client.responses.create(model="llama-8b", input=text, **more)


async def test_a_stored_response_is_fetched_listed_and_deleted(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("fine")) as provider:
        async with gateway(tmp_path, [entry("llama-8b", provider.base_url)], gateway=kept(tmp_path)) as run:
            first = await ask(run, "How are you?")
            second = await ask(run, "And now?", previous_response_id=first.id)
            assert await run.client.responses.retrieve(second.id) == second
            validate((await fetched(run, second.id)).json(), "Response")

            listed = await run.client.responses.input_items.list(second.id, order="asc")
            said = [(item.role, item.content[0].text) for item in listed.data]  # type: ignore[union-attr]
            assert said == [("user", "How are you?"), ("assistant", "fine"), ("user", "And now?")]
            pages = [item.id async for item in run.client.responses.input_items.list(second.id, limit=1)]
            assert pages == [item.id for item in reversed(listed.data)]
            validate((await fetched(run, f"{second.id}/input_items?limit=2")).json(), "ResponseItemList")

            await run.client.responses.delete(first.id)
            for gone in (
                run.client.responses.retrieve,
                run.client.responses.delete,
                run.client.responses.input_items.list,
            ):
                with pytest.raises(openai.NotFoundError) as missing:
                    await gone(first.id)
                validate(missing.value.response.json(), "ErrorResponse")
            with pytest.raises(openai.BadRequestError) as refused:
                await ask(run, "Go on", previous_response_id=second.id)
            assert refused.value.code == "previous_response_not_found"
            assert refused.value.param == "previous_response_id"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        (f"limit=1{'0' * 5000}", "limit"),
        ("order=up", "order"),
        ("after=msg_no", "after"),
    ],
)
async def test_a_page_that_cannot_be(tmp_path: Path, query: str, param: str) -> None:
    async with ScriptedProvider(answer("fine")) as provider:
        async with gateway(tmp_path, [entry("llama-8b", provider.base_url)], gateway=kept(tmp_path)) as run:
            got = await ask(run, "How are you?")
            refused = await fetched(run, f"{got.id}/input_items?{query}")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
            assert (await fetched(run, f"{got.id}?stream=true")).status_code == 400


async def test_items_of_every_kind_are_listed_as_the_document_says(tmp_path: Path) -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:image/png;base64,AA"}]},
        {"role": "assistant", "content": "b"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "2"},
    ]  # fmt: skip
    async with ScriptedProvider(answer("fine")) as provider:
        model = entry("llama-8b", provider.base_url, capabilities=["vision", "tools"])
        async with gateway(tmp_path, [model], gateway=kept(tmp_path)) as run:
            got = await run.http.post("/v1/responses", json={"model": "llama-8b", "input": items})
            assert got.status_code == 200, got.text
            listed = (await run.http.get(f"/v1/responses/{got.json()['id']}/input_items?order=asc")).json()
            validate(listed, "ResponseItemList")
            kinds = [item["type"] for item in listed["data"]]
            assert kinds == [item.get("type", "message") for item in items]
            assert len({item["id"] for item in listed["data"]}) == len(items)


def native_events() -> list[bytes]:
    """The beginning of a native stream, up to some text."""
    at = {"item_id": "msg_n", "output_index": 0, "content_index": 0}
    message = {"id": "msg_n", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    given: list[dict[str, Any]] = [
        {"type": "response.created", "response": STARTED},
        {"type": "response.in_progress", "response": STARTED},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "I am well because the sun", "logprobs": []},
    ]
    numbered = [event | {"sequence_number": i} for i, event in enumerate(given)]
    return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in numbered]


async def test_a_native_stream_that_breaks_is_continued_in_the_same_response(tmp_path: Path) -> None:
    text = "I am well because the sun is out and the coffee is good"
    async with ScriptedProvider(stream(native_events(), cut=True)) as broken, ScriptedProvider(answer(text)) as other:
        first = entry("llama-70b", broken.base_url)
        first["deployments"][0]["apis"] = ["responses"]
        models = [first, entry("llama-8b", other.base_url)]
        async with gateway(tmp_path, models, gateway=kept(tmp_path)) as run:
            body = {"model": "llama-70b", "input": "How are you today, and why is that so?", "stream": True}
            got = await run.http.post("/v1/responses", json=body)
            assert got.status_code == 200, got.text
            assert broken.calls[0].path == "/v1/responses"
            assert other.calls[-1].path == "/v1/chat/completions"
            response = proper(events(got.content))
            assert response["id"] == "resp_n"
            assert response["output"][0]["content"][0]["text"] == text
            assert response["model"] == "llama-8b"
            again = await run.http.get("/v1/responses/resp_n")
            assert again.json() == response


async def test_tools_that_only_a_provider_has_are_told_or_refused(tmp_path: Path) -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    hosted = [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
    async with ScriptedProvider(answer("fine")) as provider:
        models = [entry("llama-8b", provider.base_url, capabilities=["tools"])]
        async with gateway(tmp_path, models, gateway=kept(tmp_path)) as run:
            for model in ("llama-8b", "auto"):
                body = {"model": model, "input": "hi"}
                told = await run.http.post("/v1/responses", json=body | {"tools": [*hosted, function]})
                assert told.headers["x-locus-left-out"] == "tools.web_search, tools.code_interpreter"
                assert "x-locus-left-out" not in (await run.http.post("/v1/responses", json=body)).headers
                refused = await run.http.post("/v1/responses", json=body | {"tools": hosted})
                assert refused.status_code == 400
                assert "web_search, code_interpreter" in refused.json()["error"]["message"]


def test_a_message_of_the_user_gets_parts_and_a_status() -> None:
    assert full_item({"role": "user", "content": "Hi", "status": None}, "msg_1") == {
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
        "id": "msg_1",
        "type": "message",
        "status": "completed",
    }


def test_a_message_of_the_model_gets_the_fields_of_output_text() -> None:
    content = [{"type": "text", "text": "Hello"}, {"type": "refusal", "refusal": "No."}]
    item = full_item({"type": "message", "role": "assistant", "content": content, "status": "incomplete"}, "msg_2")
    assert item["status"] == "incomplete"
    assert item["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}, content[1]]


def test_an_image_gets_a_level_of_detail() -> None:
    image = {"type": "input_image", "image_url": "data:,"}
    assert full_item({"role": "user", "content": [image]}, "msg_3")["content"] == [image | {"detail": "auto"}]
    low = image | {"detail": "low"}
    assert full_item({"role": "user", "content": [low]}, "msg_3")["content"] == [low]
