"""Names of a model space without their maker or date."""

import numpy as np
import pytest

from router.errors import ArtifactError
from router.model.space import ModelSpace
from tests.router.embeddings import embeddings

NAMES = [
    "openai/gpt-4o-2024-08-06",
    "openai/gpt-4o-mini-2024-07-18",
    "openai/gpt-3.5-turbo-0125",
    "openai/gpt-3.5-turbo-1106",
    "anthropic/claude-3-haiku-20240307",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-3.1-8B-Instruct",
    "openai/gpt-5.4-2026-03-05:medium",
    "openai/gpt-5.4-2026-03-05:xhigh",
    "own",
    "mine/tuned",
    "yours/tuned",
]


@pytest.fixture
def space() -> ModelSpace:
    return ModelSpace(NAMES, embeddings(np.eye(len(NAMES))), "0")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("GPT-4o-mini", "openai/gpt-4o-mini-2024-07-18"),
        ("gpt-3.5-turbo-1106", "openai/gpt-3.5-turbo-1106"),
        ("gpt-3.5-turbo", "openai/gpt-3.5-turbo-0125"),
        ("claude-3-haiku", "anthropic/claude-3-haiku-20240307"),
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("azure/gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("gpt-5.4", "openai/gpt-5.4-2026-03-05:medium"),
        ("gpt-5.4:high", "openai/gpt-5.4-2026-03-05:xhigh"),
        ("own", "own"),
    ],
)
def test_one_model_bears_the_name(space: ModelSpace, name: str, model: str) -> None:
    assert space.find(name) == model
    assert space.rows([name])[0] == NAMES.index(model)
    assert space.neighbors(name) == space.neighbors(model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tuned", "'tuned' may be mine/tuned or yours/tuned; write which"),
        ("gpt-4o-2024-05-13", "the model space has no 'gpt-4o-2024-05-13'; close to it: openai/gpt-4o-2024-08-06"),
        ("openai/claude-3-haiku", "the model space has no 'openai/claude-3-haiku'; close to it: anthropic/claude-3-ha"),
        ("zzz", "the model space has no 'zzz'"),
    ],
)
def test_an_unknown_or_ambiguous_name_is_refused(space: ModelSpace, name: str, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        space.find(name)
    assert str(caught.value).startswith(message)
