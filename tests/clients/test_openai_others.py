"""The official Python client on `/v1/embeddings` and the legacy `/v1/completions`."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clients.provider import embedding
from tests.clients.serving import EMBEDDING_MODEL, ServedGateway


@pytest.fixture
def client(served: ServedGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"])  # in base64, unless told otherwise
    assert [item.embedding for item in answer.data] == [embedding("one"), embedding("two")]
    assert [item.index for item in answer.data] == [0, 1]
    assert answer.model == EMBEDDING_MODEL
    assert answer.usage.total_tokens == 2


@pytest.mark.parametrize("form", ["float", "base64"])
def test_encoding_formats(client: openai.OpenAI, form: Any) -> None:
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input="one", encoding_format=form, dimensions=4)
    (item,) = answer.data
    assert isinstance(item.embedding, list if form == "float" else str)


def test_a_model_that_makes_no_vectors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="llama-8b", input="one")
    assert refused.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="no-such-model", input="one")


def test_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="auto", prompt="Once upon a time")
    assert answer.object == "text_completion"
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_completion_in_a_stream(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="auto", prompt="Once upon a time")
    chunks = list(client.completions.create(model="auto", prompt="Once upon a time", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_fill_in_the_middle(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="auto", prompt="def one():\n    return", suffix="\n\ndef two():")
    assert answer.choices[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_several_prompts(client: openai.OpenAI, stream: bool) -> None:
    prompts = ["Once upon a time", "In a hole in the ground", "It was the best of times"]
    got: Any = client.completions.create(model="auto", prompt=prompts, n=2, stream=stream)
    choices = [choice for chunk in (got if stream else [got]) for choice in chunk.choices]
    assert {choice.index for choice in choices if choice.text} == set(range(6))
    assert sorted(choice.index for choice in choices if choice.finish_reason) == list(range(6))


def test_token_numbers(client: openai.OpenAI) -> None:
    text = client.completions.create(model="auto", prompt="Once upon a time").choices[0].text
    assert client.completions.create(model="auto", prompt=[12805, 5304, 264, 892]).choices[0].text == text
