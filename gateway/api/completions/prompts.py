"""The prompts of a legacy completions request: one or several, as text or as token numbers."""

from typing import TypeAlias, TypeGuard

from gateway.core.json_types import JsonObject

Prompt: TypeAlias = str | list[int]


def is_prompt(value: object) -> bool:
    """Return True if this is a valid value of `prompt`: null, a text, texts, token numbers, or lists of token numbers."""
    if value is None or isinstance(value, str):
        return True
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(prompt, str) for prompt in value) or _is_tokens(value) or all(map(_is_tokens, value))


def prompts_of(fields: JsonObject) -> list[Prompt]:
    """Return the prompts of a request that has been checked; an empty list if `prompt` is null."""
    prompt = fields["prompt"]
    if prompt is None:
        return []
    return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt


def texts_among(prompts: list[Prompt]) -> list[str]:
    """Return the prompts that are text."""
    return [prompt for prompt in prompts if isinstance(prompt, str)]


def tokens_among(prompts: list[Prompt]) -> list[list[int]]:
    """Return the prompts that are token numbers."""
    return [prompt for prompt in prompts if not isinstance(prompt, str)]


def _is_tokens(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)
