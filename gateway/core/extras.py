"""What an answer says of its bill beside tokens: the service tier, and searches of the web. For all API formats."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.core.chat_types import ChatUsage
from gateway.core.usage import token_count

_USUAL = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})


class Extras(NamedTuple):
    """What is billed beside tokens.

    Attributes:
        service_tier: that was billed, such as "flex" or "priority"; None for the usual one.
        web_searches: that the provider made for the answer.
    """

    service_tier: str | None = None
    web_searches: int = 0


def service_tier(value: object) -> str | None:
    """A tier other than the usual one; None for the usual one."""
    return value if isinstance(value, str) and value not in _USUAL else None


def extras_of(answer: Mapping[str, Any]) -> Extras:
    """The extras of a complete answer, or of the last object of a stream.

    OpenAI has `service_tier` beside the usage, Anthropic in it. Anthropic counts searches in the usage; of a Response each one is
    an item of the output.
    """
    usage = answer.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    tools = counts.get("server_tool_use")
    searches = token_count(tools.get("web_search_requests")) or 0 if isinstance(tools, dict) else 0
    output = answer.get("output")
    if isinstance(output, list):
        searches += sum(isinstance(item, dict) and item.get("type") == "web_search_call" for item in output)
    return Extras(service_tier(answer.get("service_tier")) or service_tier(counts.get("service_tier")), searches)


def with_extras(usage: ChatUsage, extras: Extras) -> ChatUsage:
    """The usage of a chat chunk, from which `extras_of` reads these extras."""
    if extras.service_tier is not None:
        usage["service_tier"] = extras.service_tier
    if extras.web_searches:
        usage["server_tool_use"] = {"web_search_requests": extras.web_searches}
    return usage
