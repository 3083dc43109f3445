"""What an answer says of its bill beside tokens: the service tier, searches of the web, and images. For all API formats."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import objects_in
from gateway.core.usage import token_count

_IMAGES = "image_generation_requests"  # of a Response that becomes a chat answer
_USUAL = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})


class Extras(NamedTuple):
    """What is billed beside tokens.

    Attributes:
        service_tier: that was billed, such as "flex" or "priority"; None for the usual one.
        web_searches: that the provider made for the answer.
        has_images: the answer has images, whose price differs from that of its text.
    """

    service_tier: str | None = None
    web_searches: int = 0
    has_images: bool = False


def service_tier(value: object) -> str | None:
    """A tier other than the usual one; None for the usual one."""
    return value if isinstance(value, str) and value not in _USUAL else None


def extras_of(answer: Mapping[str, Any]) -> Extras:
    """The extras of a complete answer, or of the last object of a stream.

    OpenAI has `service_tier` beside the usage, Anthropic in it. Anthropic counts searches in the usage; of a Response each one is
    an item of the output, and so is each image. Images of a chat answer are in its messages, and in the details of the usage.
    """
    usage = answer.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    tools = counts.get("server_tool_use")
    searches = token_count(tools.get("web_search_requests")) or 0 if isinstance(tools, dict) else 0
    images = bool(isinstance(tools, dict) and tools.get(_IMAGES))
    if output := objects_in(answer.get("output")):
        searches += sum(item.get("type") == "web_search_call" for item in output)
        images = images or any(item.get("type") == "image_generation_call" for item in output)
    details = counts.get("completion_tokens_details")
    images = images or (isinstance(details, dict) and bool(token_count(details.get("image_tokens"))))
    for choice in objects_in(answer.get("choices")):
        message = choice.get("message")
        images = images or (isinstance(message, dict) and bool(message.get("images")))
    tier = service_tier(answer.get("service_tier")) or service_tier(counts.get("service_tier"))
    return Extras(tier, searches, images)


def with_extras(usage: ChatUsage, extras: Extras) -> ChatUsage:
    """The usage of a chat chunk, from which `extras_of` reads these extras."""
    if extras.service_tier is not None:
        usage["service_tier"] = extras.service_tier
    if extras.web_searches:
        usage["server_tool_use"] = {"web_search_requests": extras.web_searches}
    if extras.has_images:
        usage["server_tool_use"] = usage.get("server_tool_use", {}) | {_IMAGES: 1}
    return usage
