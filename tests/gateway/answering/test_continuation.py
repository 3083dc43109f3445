"""The request for the rest of an answer that another model began."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.answering.continuation import CONTINUE_PROMPT, continuation, ways
from gateway.answering.transcript import Transcript
from gateway.config.providers import Prefill
from gateway.request.chat_request import ChatRequest, parse_chat
from tests.gateway.live import deployment

MESSAGES = [{"role": "user", "content": "Tell me of Paris."}]
TEXT = "Paris is the capital of France, and "


def request(**fields: Any) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "m", "messages": MESSAGES, "stream": True} | fields))


def written(asked: ChatRequest, text: str = TEXT) -> Transcript:
    transcript = Transcript(asked)
    transcript.add({"id": "c", "created": 1, "choices": [{"index": 0, "delta": {"content": text}}]})
    return transcript


def test_a_fresh_answer_is_the_same_request() -> None:
    asked = request()
    assert continuation(asked, written(asked), "fresh", "message") is asked


@pytest.mark.parametrize(
    ("form", "message", "fields"),
    [
        ("message", {}, {}),
        ("prefix", {"prefix": True}, {}),
        ("vllm", {}, {"add_generation_prompt": False, "continue_final_message": True}),
    ],
)
def test_prefill_ends_with_the_text_in_the_form_of_the_server(
    form: Prefill, message: dict[str, Any], fields: dict[str, Any]
) -> None:
    asked = request()
    continued = continuation(asked, written(asked), "prefill", form)
    assistant = {"role": "assistant", "content": TEXT.rstrip()} | message
    assert continued.fields == asked.fields | {"messages": [*MESSAGES, assistant]} | fields
    assert orjson.loads(continued.body) == continued.fields


def test_a_model_without_prefill_is_asked_to_begin_with_the_last_words() -> None:
    asked = request()
    *before, assistant, user = continuation(asked, written(asked), "continue", "").fields["messages"]
    assert before == MESSAGES
    assert assistant == {"role": "assistant", "content": TEXT.rstrip()}
    assert user == {"role": "user", "content": CONTINUE_PROMPT.format(anchor="the capital of France, and")}


@pytest.mark.parametrize(("limit", "left"), [(100, 92), (5, 1)])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_of_the_answer_is_lowered_by_what_the_client_has(name: str, limit: int, left: int) -> None:
    asked = request(**{name: limit})
    assert len(TEXT.rstrip()) // 4 == 8
    assert continuation(asked, written(asked), "continue", "").fields[name] == left


def test_the_ways_of_a_deployment(tmp_path: Path) -> None:
    live = deployment(tmp_path, prefill=False)
    assert ways(live, "  ") == ("fresh",)
    assert ways(live, TEXT) == ("fresh", "continue")
    able = deployment(tmp_path, prefill=True)
    assert ways(able, TEXT) == ("prefill", "fresh", "continue")
    able.no_prefill.note("prefill")
    assert ways(able, TEXT) == ("fresh", "continue")
