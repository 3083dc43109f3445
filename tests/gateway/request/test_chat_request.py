import orjson
import pytest

from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.request_body import read_body
from gateway.core.errors import BodyTooLarge, InvalidRequest
from gateway.request.chat_request import parse_chat

HELLO = [{"role": "user", "content": "hello"}]


def body(**fields: object) -> bytes:
    return orjson.dumps({"model": "auto", "messages": HELLO} | fields)


@pytest.mark.parametrize(
    ("raw", "param", "says"),
    [
        (b"{", None, "not valid JSON"),
        (b"[]", None, "an empty list"),
        (b'{"messages": []}', "model", "`model` is missing"),
        (b'{"model": 3, "messages": []}', "model", "a number"),
        (b'{"model": "auto"}', "messages", "`messages` is missing"),
        (b'{"model": "auto", "messages": []}', "messages", "an empty list"),
        (b'{"model": "auto", "messages": ["x"]}', "messages[0]", "a string"),
        (b'{"model": "auto", "messages": [{"content": "x"}]}', "messages[0].role", "missing"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": 5}]}', "messages[0].content", "a number"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": [1]}]}', "messages[0].content[0]", "a number"),
        (body(stream="yes"), "stream", "a string"),
        (body(stream_options=[1]), "stream_options", "a list"),
        (body(max_tokens=0), "max_tokens", "a number"),
        (b"[" * 5000, None, "not valid JSON"),
    ],
)
def test_an_invalid_body_is_reported_with_its_field(raw: bytes, param: str | None, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(raw)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert says in caught.value.message


def test_only_the_model_name_changes_in_the_upstream_body() -> None:
    raw = b'{ "x-unknown": [1, 2.50],  "model" : "auto", "messages":[{"role":"user","content":"say \\"model\\": \\"auto\\""}]}'
    assert parse_chat(raw).upstream_body("gpt-4o") == raw.replace(b'"model" : "auto"', b'"model" : "gpt-4o"')


def test_a_nested_model_field_stays_unchanged() -> None:
    raw = b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"metadata":{"model":"auto"}}'
    assert orjson.loads(parse_chat(raw).upstream_body("m")) == orjson.loads(raw) | {"model": "m"}


def test_splice_needs_exactly_one_field_with_the_old_name() -> None:
    assert replace_model_name(b'{"model":"a"}', "a", 'q"uote') == b'{"model":"q\\"uote"}'
    assert replace_model_name(b'{"model":"a","x":{"model":"a"}}', "a", "b") is None
    assert replace_model_name(b'{"model":"other"}', "a", "b") is None


def test_usage_is_requested_in_streams() -> None:
    out = orjson.loads(parse_chat(body(stream=True)).upstream_body("m"))
    assert out["stream_options"] == {"include_usage": True}
    given = parse_chat(body(stream=True, stream_options={"include_usage": False, "x": 1}))
    assert not given.usage_requested
    assert orjson.loads(given.upstream_body("m"))["stream_options"] == {"include_usage": True, "x": 1}
    refused = frozenset({"stream_options"})
    assert "stream_options" not in orjson.loads(given.upstream_body("m", refused))
    assert "stream_options" not in orjson.loads(parse_chat(body(stream=True)).upstream_body("m", refused))
    assert "stream_options" not in orjson.loads(parse_chat(body()).upstream_body("m"))


def test_requirements_are_read_with_the_request() -> None:
    parts = [{"type": "text", "text": "x" * 400}, {"type": "image_url", "image_url": {"url": "data:" + "A" * 100_000}}]
    requirements = parse_chat(
        body(
            messages=[{"role": "user", "content": parts}],
            tools=[{"type": "function", "function": {"name": "f"}}],
            response_format={"type": "json_schema"},
            max_completion_tokens=50,
        )
    ).requirements
    assert requirements.capabilities == {"vision", "tools", "json_schema"}
    assert requirements.output_tokens == 50
    assert 1_100 <= requirements.prompt_tokens < 1_200  # an image counts as an image, not by the length of its base64
    audio = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]
    assert parse_chat(body(messages=audio)).requirements.capabilities == {"audio"}


@pytest.mark.anyio
async def test_the_body_limit_holds_while_reading() -> None:
    sent = 0

    async def receive() -> dict[str, object]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    with pytest.raises(BodyTooLarge, match="250 bytes"):
        await read_body(receive, 250)
    assert sent == 3
