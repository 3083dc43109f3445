"""The prompts of a legacy completions request: one or several, texts or token numbers."""

from typing import Any

Prompt = str | list[int]


def is_prompt(value: Any) -> bool:
    """Whether `prompt` may have this value."""
    if value is None or isinstance(value, str):
        return True
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, str) for one in value) or _is_tokens(value) or all(map(_is_tokens, value))


def prompts_of(fields: dict[str, Any]) -> list[Prompt]:
    """The prompts of a request that has been checked; none where `prompt` is null."""
    prompt = fields["prompt"]
    if prompt is None:
        return []
    return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt


def texts_among(prompts: list[Prompt]) -> list[str]:
    return [prompt for prompt in prompts if isinstance(prompt, str)]


def tokens_among(prompts: list[Prompt]) -> list[list[int]]:
    return [prompt for prompt in prompts if not isinstance(prompt, str)]


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)
