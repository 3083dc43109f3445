"""LlamaIndex's `OpenAILike`, which runs in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import tools
from tests.clients.provider import embedding
from tests.clients.serving import ServedGateway

HELLO = "You said: Say hello to Ada."


@pytest.fixture(scope="module")
def results(apart: Path, served: ServedGateway) -> dict[str, Any]:
    """What llama_index_calls.py got; its import takes seconds, so it is run once for all."""
    script = Path(__file__).with_name("llama_index_calls.py")
    command = [apart / "python", script, served.url, "chat", "legacy", "embeddings"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def test_chat(results: dict[str, Any]) -> None:
    assert results["chat"] == results["achat"] == results["complete"] == HELLO
    assert results["usage"] == 6


@pytest.mark.parametrize("method", ["stream_chat", "stream_complete"])
def test_stream(results: dict[str, Any], method: str) -> None:
    assert "".join(results[method]) == HELLO
    assert len(results[method]) > 6


def test_tools(results: dict[str, Any]) -> None:
    assert results["tools"] == [tools.ANSWER, tools.TWO_ANSWERS]


def test_structured_output(results: dict[str, Any]) -> None:
    assert results["structured"] == {"city": "Paris", "days": 3, "stops": ["Lyon"]}


def test_legacy_completions(results: dict[str, Any]) -> None:
    assert results["completion"]
    assert "".join(results["stream_completion"]) == results["completion"]


def test_embeddings(results: dict[str, Any]) -> None:
    assert results["embedding"] == embedding("one")
    assert results["embeddings"] == [embedding("one"), embedding("two")]
