"""The API formats whose answers are stored, and how."""

import uuid
from collections.abc import Callable
from typing import NamedTuple

from gateway.cache import chat_form, messages_form, responses_form
from gateway.cache.entry import Templates
from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest


class Form(NamedTuple):
    """How the answers of an API format are stored.

    Attributes:
        echo: returns the markers of what the answer repeats of its request, with their values.
        whole_stream: the end of a stream belongs to what is stored; in chat it depends on the request.
    """

    new_id: Callable[[], str]
    stored_body: Callable[[bytes], Templates]
    stored_stream: Callable[[bytes, ChatUsage | None], Templates]
    events: Callable[[JsonObject], tuple[bytes, bytes]]
    echo: Callable[[ChatRequest], dict[bytes, bytes]] = lambda _: {}
    whole_stream: bool = True


FORMS: dict[Api, Form] = {
    "chat": Form(
        lambda: f"chatcmpl-{uuid.uuid4().hex}",
        chat_form.stored_body,
        chat_form.stored_stream,
        chat_form.events,
        whole_stream=False,
    ),
    "messages": Form(
        lambda: f"msg_{uuid.uuid4().hex}",
        messages_form.stored_body,
        messages_form.stored_stream,
        messages_form.events,
    ),
    "responses": Form(
        lambda: f"resp_{uuid.uuid4().hex}",
        responses_form.stored_body,
        responses_form.stored_stream,
        responses_form.events,
        responses_form.echo,
    ),
}
