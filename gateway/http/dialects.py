"""The API format of each path, in one table: for the endpoints that serve chats, and for errors that arise before an endpoint."""

from collections.abc import Mapping

from gateway.api.chat.dialect import Chat
from gateway.api.completions.dialect import Completions
from gateway.api.dialect import Dialect
from gateway.api.messages.dialect import Messages
from gateway.api.responses.dialect import Responses
from gateway.api.responses.store import ResponseStore
from gateway.core.key_digest import key_digest

CHAT = "/chat/completions"


def dialects_by_path(store: ResponseStore) -> dict[str, Dialect]:
    """The formats of the endpoints that serve chats, by their paths without a prefix."""
    responses = Responses(store, key_digest)
    return {
        CHAT: Chat(responses),
        "/messages": Messages(),
        "/responses": responses,
        "/completions": Completions(),
    }


def dialect_of(path: str, dialects: Mapping[str, Dialect]) -> Dialect:
    """The format in which clients of a path read errors; chat, which has OpenAI's form, for a path of no format.

    The path `/v1/messages/count_tokens` belongs to the format of `/messages`.
    """
    first = path.removeprefix("/v1").removeprefix("/").partition("/")[0]
    return dialects.get(f"/{first}") or dialects[CHAT]
