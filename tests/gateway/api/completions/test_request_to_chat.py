"""A legacy completions request -> a chat request."""

from typing import Any

import orjson
import pytest

from gateway.api.completions.prompts import prompts_of, texts_among
from gateway.api.completions.request_to_chat import native_only_field
from gateway.core.errors import InvalidRequest
from tests.conformance import validate
from tests.gateway.api.completions.examples import ASK, DIALECT, parse

pytestmark = pytest.mark.anyio


async def test_the_prompt_is_one_user_message() -> None:
    for prompt in ("Once upon a time,", ["Once upon a time,"]):
        request = await parse(prompt=prompt, temperature=0.5, stop=["\n"], seed=3, user="u", **{"x-vendor": {"a": 1}})
        assert request.fields == {
            "model": "auto",
            "max_tokens": 30,
            "temperature": 0.5,
            "stop": ["\n"],
            "seed": 3,
            "user": "u",
            "x-vendor": {"a": 1},
            "messages": [{"role": "user", "content": "Once upon a time,"}],
        }
        assert request.native is not None
        assert (request.native.api, request.native.fields["prompt"]) == ("completions", prompt)
        assert (request.requirements.api, request.requirements.api_field) == (None, None)


async def test_the_default_limit_of_the_answer() -> None:
    assert (await parse(max_tokens=None)).fields["max_tokens"] == 16
    assert (await parse(max_tokens=None)).requirements.output_tokens == 16
    assert (await parse(max_tokens=None, max_completion_tokens=99)).requirements.output_tokens == 99


@pytest.mark.parametrize("count", [0, 3])
async def test_log_probabilities_are_asked_for_as_chat_does(count: int) -> None:
    request = await parse(logprobs=count)
    assert (request.fields["logprobs"], request.fields["top_logprobs"]) == (True, count)
    assert "logprobs" in request.requirements.capabilities
    assert "logprobs" not in (await parse(logprobs=None)).requirements.capabilities


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"suffix": "the end."}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"prompt": ["one", "two"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2, 3]]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"suffix": "", "echo": False, "best_of": 1, "logprobs": None, "n": None}, None),
        ({"best_of": 2, "n": 2}, None),
    ],
)
async def test_fields_that_only_an_upstream_of_this_format_can_serve(fields: dict[str, Any], field: str | None) -> None:
    assert native_only_field(ASK | fields, texts_among(prompts_of(ASK | fields))) == field
    request = await parse(**fields)
    assert (request.requirements.api, request.requirements.api_field) == (
        None if field is None else "completions",
        field,
    )


async def test_several_prompts_are_several_choices_but_no_capability() -> None:
    request = await parse(prompt=["one", "two", "three"])
    assert (request.choice_count, request.query) == (3, "one\ntwo\nthree")
    assert "several" not in request.requirements.capabilities
    request = await parse(prompt=["one", "two"], n=2)
    assert request.choice_count == 4
    assert "several" in request.requirements.capabilities


@pytest.mark.parametrize(("prompt", "tokens"), [([5] * 300, 300), ([[5] * 20, [6] * 400], 400)])
async def test_token_numbers_are_counted(prompt: Any, tokens: int) -> None:
    requirements = (await parse(prompt=prompt)).requirements
    assert (requirements.prompt_tokens, requirements.max_prompt_tokens) == (tokens, 2 * tokens)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"prompt": 7}, "prompt", "a text, a list of texts, or token numbers, not a number"),
        ({"prompt": []}, "prompt", "an empty list"),
        ({"prompt": ["a", 1]}, "prompt", "a list"),
        ({"prompt": [[1], "a"]}, "prompt", "a list"),
        ({"prompt": [[]]}, "prompt", "a list"),
        ({"prompt": [True]}, "prompt", "a list"),
        ({"suffix": 1}, "suffix", "a text, not a number"),
        ({"echo": "yes"}, "echo", "true or false, not a string"),
        ({"best_of": 0}, "best_of", "at least 1, not 0"),
        ({"n": 0}, "n", "at least 1"),
        ({"n": True}, "n", "a whole number, not a boolean"),
        ({"logprobs": True}, "logprobs", "a whole number, not a boolean"),
        ({"logprobs": 21}, "logprobs", "from 0 to 20, not 21"),
        ({"max_tokens": -1}, "max_tokens", "at least 0"),
        ({"max_tokens": 1.5}, "max_tokens", "a whole number"),
        ({"model": None}, "model", "not null"),
        ({"stream": 1}, "stream", "true or false"),
        ({"stream_options": []}, "stream_options", "an object"),
    ],
)
async def test_errors_name_the_field(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as raised:
        await parse(**fields)
    assert raised.value.param == param
    validate(orjson.loads(DIALECT.error(raised.value, "req_1")), "ErrorResponse")


async def test_a_missing_prompt() -> None:
    with pytest.raises(InvalidRequest, match="`prompt` is missing") as raised:
        await DIALECT.parse(b'{"model": "auto"}', {})
    assert raised.value.param == "prompt"


async def test_upstreams_of_this_format_get_the_clients_bytes() -> None:
    body = b' {"model": "auto", "prompt" : "Once", "suffix":"end","stream": true, "x":{"f":1.10}}'
    native = (await DIALECT.parse(body, {})).native
    assert native is not None
    expected = body.strip().replace(b'"auto"', b'"up"').replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    assert native.upstream_body("up") == expected
    for options in (None, {}, {"include_usage": False, "x": 1}):
        native = (await parse(stream=True, stream_options=options)).native
        assert native is not None
        assert orjson.loads(native.upstream_body("up"))["stream_options"] == (options or {}) | {"include_usage": True}
    for more in ({}, {"stream": False}, {"stream": True, "stream_options": {"include_usage": True}}):
        native = (await parse(**more)).native
        assert native is not None
        assert native.upstream_body("up") == orjson.dumps(ASK | more | {"model": "up"})
