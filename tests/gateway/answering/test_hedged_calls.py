"""How long a deployment may be silent before another one is called beside it."""

from pathlib import Path

import orjson
import pytest

from gateway.answering.hedged_calls import SLOW_TOKENS_PER_S, silence_s
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.request.chat_request import ChatRequest, parse_chat
from tests.gateway.live import deployment


def request(*, stream: bool, max_tokens: int | None = None) -> ChatRequest:
    fields = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": max_tokens}
    return parse_chat(orjson.dumps({key: value for key, value in fields.items() if value is not None}))


def test_a_stream_may_be_silent_until_the_timeout_of_its_first_token(tmp_path: Path) -> None:
    assert silence_s(request(stream=True), deployment(tmp_path, first_token_timeout=7)) == 7


@pytest.mark.parametrize(
    ("max_tokens", "tokens"), [(None, EXPECTED_OUTPUT_TOKENS), (100, 100), (100_000, EXPECTED_OUTPUT_TOKENS)]
)
def test_a_complete_answer_has_the_time_to_be_written_too(tmp_path: Path, max_tokens: int | None, tokens: int) -> None:
    live = deployment(tmp_path, first_token_timeout=7)
    assert silence_s(request(stream=False, max_tokens=max_tokens), live) == 7 + tokens / SLOW_TOKENS_PER_S


def test_a_deployment_that_is_always_slow_has_twice_its_usual_time(tmp_path: Path) -> None:
    live = deployment(tmp_path, first_token_timeout=7)
    for _ in range(20):
        live.record_time(60.0, stream=False)
    assert silence_s(request(stream=False), live) == 120
