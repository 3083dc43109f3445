"""The tokens of all calls for a request, in the place of those that the provider of the answer reported. Pure."""

from collections.abc import Callable

import orjson

from gateway.api.messages.stream_blocks import encoded_event
from gateway.api.messages.usage import message_usage
from gateway.api.responses.usage import usage_from_chat
from gateway.bodies.sse import EventReader
from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api

_FORMS: dict[Api, Callable[[ChatUsage], object]] = {"messages": message_usage, "responses": usage_from_chat}


def usage_in(api: Api, usage: ChatUsage) -> object:
    """A usage in the form of an API format."""
    return _FORMS.get(api, dict)(usage)


def event_with_usage(raw: bytes, api: Api, usage: ChatUsage) -> bytes:
    """An event of a provider's stream with another usage; everything else in it stays.

    Args:
        raw: one event that has a usage, in the format `messages` or `responses`.
    """
    reader = EventReader()
    data = next(event.data for event in [*reader.feed(raw), *reader.close()] if event.data)
    fields: JsonObject = orjson.loads(data)
    holder = fields["response"] if api == "responses" else fields
    holder["usage"] = usage_in(api, usage)
    return encoded_event(fields["type"], **{key: value for key, value in fields.items() if key != "type"})
