"""The form of a request for one deployment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.answering.adaptation import LIMIT
from gateway.answering.prepared_request import call_api, prepared
from gateway.api.reasoning import SIGNATURES
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, Native, parse_chat
from gateway.request.conversation import Turn
from tests.gateway.live import candidates, deployment, model

THOUGHT = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}
MESSAGES = [{"role": "user", "content": "2+2?"}, THOUGHT, {"role": "user", "content": "And 3+3?"}]


def request(**fields: Any) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "m", "messages": MESSAGES} | fields))


def native(request: ChatRequest, api: Api) -> ChatRequest:
    return replace(request, native=Native(api, request.body, request.fields))


def test_the_clients_own_format_is_used_as_long_as_the_deployment_has_it(tmp_path: Path) -> None:
    live = deployment(tmp_path, apis=["messages"])
    assert call_api(live, request()) == "chat"
    assert call_api(live, native(request(), "messages")) == "messages"
    assert call_api(live, native(request(), "responses")) == "chat"
    live.unknown_apis.note("messages")
    assert call_api(live, native(request(), "messages")) == "chat"


def turn(model: str, *, mixed: bool = False) -> Turn:
    return Turn(model, 10, 0.0, b"", mixed)


@pytest.mark.parametrize(
    ("last", "dropped", "kept"),
    [
        (None, frozenset(), True),
        (turn("m"), frozenset(), True),
        (turn("other"), frozenset(), False),
        (turn("m", mixed=True), frozenset(), False),
        (turn("m"), frozenset({SIGNATURES}), False),
    ],
)
def test_reasoning_goes_back_only_to_the_model_that_wrote_it(
    tmp_path: Path, last: Turn | None, dropped: frozenset[str], kept: bool
) -> None:
    (candidate,) = candidates(tmp_path, model("m"))
    asked = request()
    ready = prepared(asked, candidate, candidate.model.deployments[0], last, dropped, "chat", None)
    assert (ready is asked) is kept
    assert ("reasoning_content" in ready.fields["messages"][1]) is kept
    assert orjson.loads(ready.body) == ready.fields


def test_changes_are_made_in_the_translated_request_alone(tmp_path: Path) -> None:
    (candidate,) = candidates(tmp_path, model("m"))
    live = candidate.model.deployments[0]
    asked = request(max_tokens=500)
    assert prepared(asked, candidate, live, None, frozenset({LIMIT}), "chat", 100).fields["max_tokens"] == 100
    assert prepared(asked, candidate, live, None, frozenset({LIMIT}), "messages", 100) is asked
