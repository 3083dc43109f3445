"""Token numbers as texts: what can be decoded, and what must not be."""

import pytest
import tiktoken

from gateway.http.token_prompts import Undecodable, text_of, tokenizer_of
from gateway.request.prompt_length import ENCODING, openai_tokenizer

TEXTS = [
    "Once upon a time,",
    "  def f(a):\n\treturn a\n",
    "Grüße aus Köln 👋🏽 — 你好",
    "a" * 3000,
    " ",
    "<|endoftext|>",
]


@pytest.mark.parametrize("tokenizer", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_a_tokenizer_writes_is_read(text: str, tokenizer: str) -> None:
    assert text_of(openai_tokenizer(tokenizer).encode_ordinary(text), tokenizer) == text


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ([-1], "-1 is no token"),
        ([5] * 100_001, "100001 are more than the 100000"),
        ([5, 100256], "100256 is no token"),  # of no text, nor of anything else
        ([100257], "100257 is no token"),  # ends a text, which no text can say
        ([1 << 40], "1099511627776 is no token"),
        ([97 + 128], "no valid UTF-8"),
        ([9468, 239], "no valid UTF-8"),  # the beginning of "👋"
        ([64 + i for i in (7, 4, 11, 11, 14)], "other numbers"),  # "hello" letter by letter
    ],
)
def test_what_is_no_text_of_it(tokens: list[int], says: str) -> None:
    with pytest.raises(Undecodable, match=says):
        text_of(tokens, ENCODING)


def test_a_long_prompt_of_another_tokenizer() -> None:
    text = " ".join(f"The {n}th quick brown fox jumps over the lazy dog, who then sleeps." for n in range(4, 9))
    with pytest.raises(Undecodable):
        text_of(openai_tokenizer("o200k_base").encode_ordinary(text), ENCODING)


@pytest.mark.parametrize(
    ("names", "tokenizer"),
    [
        ([], "cl100k_base"),
        (["fast", "up-fast"], "cl100k_base"),
        (["gpt-3.5-turbo-instruct"], "cl100k_base"),
        (["gpt-4o", "azure/my-deployment"], "o200k_base"),
        (["best", "openai/gpt-4.1-mini"], "o200k_base"),
        (["oss", "groq/openai/gpt-oss-120b"], "o200k_base"),
    ],
)
def test_which_tokenizer_a_model_has(names: list[str], tokenizer: str) -> None:
    assert tokenizer_of(names) == tokenizer


@pytest.mark.parametrize(
    "names",
    [
        ["llama-8b"],
        ["claude", "anthropic/claude-sonnet-4-5"],
        ["best", "openai/Qwen3-32B"],
        ["text-davinci-003"],  # p50k_base
        ["mixed", "openai/gpt-4o", "openai/gpt-3.5-turbo"],
    ],
)
def test_models_whose_numbers_are_not_read(names: list[str]) -> None:
    with pytest.raises(Undecodable, match=f"`{names[0]}` has"):
        tokenizer_of(names)


def test_tables_are_at_hand_under_the_names_that_the_library_gives() -> None:
    assert tiktoken.encoding_name_for_model("gpt-4o") == "o200k_base"
    assert openai_tokenizer("o200k_base").n_vocab > openai_tokenizer(ENCODING).n_vocab
