"""Requests of clients that are no packages, as their public documentation and what is known of them say; each must be
answered whole. The bodies in shapes/ are our own; their structure is the clients'.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.reading import read_answer
from tests.clients.serving import ServedGateway
from tests.conformance import validate

SHAPES = {path.stem: path for path in sorted((Path(__file__).parent / "shapes").glob("*.json"))}

CONVERSATIONS = [
    name
    for name, path in SHAPES.items()
    if json.loads(path.read_text())["answer"]["form"] in ("chat", "completions", "messages", "responses")
]


@pytest.fixture(scope="module")
def http(served: ServedGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.root, timeout=60) as http:
        yield http


@pytest.mark.parametrize("name", SHAPES)
def test_a_clients_request(http: httpx.Client, name: str) -> None:
    shape = json.loads(SHAPES[name].read_text())
    response = http.request(shape["method"], shape["path"], headers=shape["headers"], json=shape.get("body"))
    expected = shape["answer"]
    match expected["form"]:
        case "models":
            assert response.json()["data"][0]["id"] == "auto"
        case "embeddings":
            _check_embeddings(response, len(shape["body"]["input"]))
        case "count_tokens":
            assert response.json()["input_tokens"] > 0
        case form:
            answer = read_answer(form, expected["stream"], response)
            assert answer.text.startswith(expected.get("text", ""))
            assert [called for called, _ in answer.calls] == expected.get("calls", [])
            assert all(isinstance(json.loads(arguments), dict) for _, arguments in answer.calls)
            assert answer.text or answer.calls


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_provider_gets_a_proper_request(http: httpx.Client, served: ServedGateway, name: str) -> None:
    shape = json.loads(SHAPES[name].read_text())
    before = len(served.provider.calls)
    http.request(shape["method"], shape["path"], headers=shape["headers"], json=shape["body"])
    (call,) = served.provider.calls[before:]
    legacy = call.path == "/v1/completions"
    validate(call.body, "CreateCompletionRequest" if legacy else "CreateChatCompletionRequest")
    if shape["answer"]["form"] in ("messages", "responses"):
        roles = [message["role"] for message in call.body["messages"]]
        assert "system" not in roles[1:], "many chat templates take a system message only at the beginning"
    assert "authorization" not in shape["headers"] or call.headers["authorization"] == "Bearer sk-up"


def _check_embeddings(response: httpx.Response, count: int) -> None:
    answer: Any = response.json()
    assert [item["index"] for item in answer["data"]] == list(range(count))
    assert all(isinstance(number, float) for item in answer["data"] for number in item["embedding"])
    assert answer["usage"]["total_tokens"] > 0
