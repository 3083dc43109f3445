"""The usage of a Response object <-> the tokens that it was billed for."""

from gateway.api.responses.types import Response, ResponseUsage
from gateway.core.usage import Usage

_IN_CHAT = {  # chat's name -> this API's
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "prompt_tokens_details": "input_tokens_details",
    "completion_tokens_details": "output_tokens_details",
}


def billed_usage(response: Response) -> Usage | None:
    """Return the tokens that a Response object was billed for; None if it does not report them."""
    counts = response.get("usage")
    if not isinstance(counts, dict) or counts.get("input_tokens") is None or counts.get("output_tokens") is None:
        return None
    return Usage.read({name: counts.get(own) for name, own in _IN_CHAT.items()})


def usage_from_chat(usage: object) -> ResponseUsage | None:
    """Return the usage of a chat completion in the form of this API; None if there is none."""
    if not isinstance(usage, dict):
        return None
    billed = Usage.read(usage) or Usage()
    return {
        "input_tokens": billed.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": billed.cached_tokens,
            "cache_write_tokens": billed.cache_write_tokens,
        },
        "output_tokens": billed.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning_tokens},
        "total_tokens": billed.total_tokens,
    }
