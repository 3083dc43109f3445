"""Conversations: which model answered last, so that the next turn goes there unless another is worth the switch.

A bounded table in memory; whose conversation a request belongs to is read from what it says, or from how it begins.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from gateway.fleet import Clock
from gateway.owner import owner
from gateway.query import message_text
from gateway.request import ChatRequest

MOST = 20_000  # conversations that are remembered; the one that was silent longest goes first
CACHE_S = 300.0  # so long a provider keeps a prompt that was not used again (Anthropic's and OpenAI's least)
OPENING_CHARS = 20_000  # of the system prompt and of the first user turn, each
_SESSION_HEADERS = (b"x-claude-code-session-id", b"session_id", b"session-id", b"x-session-id")
_SESSION_FIELDS = ("session_id", "conversation_id", "thread_id", "chat_id")
_CLAUDE_CODE = re.compile(r"_session_([0-9a-f-]{36})\Z")


@dataclass(frozen=True, slots=True)
class Turn:
    """The last answer of a conversation.

    Attributes:
        model: who gave it.
        tokens: of its prompt and itself: what the provider has in its cache.
        at: when, by the clock.
        opening: digest of how the conversation began.
        mixed: have several models answered in it?
    """

    model: str
    tokens: int
    at: float
    opening: bytes
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's conversation.

    Attributes:
        key: in the table; empty where the request belongs to none.
        name: the client's own, or made of how it began.
        turn: its last answer; None where it begins, or is not known.
        cached_tokens: of the request's prompt, what the last model's provider still has in its cache.
    """

    key: bytes
    name: str
    opening: bytes
    turn: Turn | None = None
    cached_tokens: int = 0


class Sessions:
    """The table.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._turns: OrderedDict[bytes, Turn] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def find(self, request: ChatRequest, headers: Mapping[bytes, bytes]) -> Conversation:
        """The conversation that a request goes on with.

        Where it names none, it is told by its system prompt and first user turn, once there is an answer in it: until then
        it may as well be another that begins alike.
        """
        if request.utility:
            return Conversation(b"", "", b"")
        opening = _opening(request.fields["messages"])
        named = _named(request, headers)
        name = opening.hex() if named is None else named
        key = _key(request, headers, name)
        if named is None and not any(m["role"] == "assistant" for m in request.fields["messages"]):
            return Conversation(key, name, opening)
        turn = self._turns.get(key)
        cached = 0
        # Where a client names its user rather than the conversation, a new one has nothing of the old in the cache.
        if turn is not None and turn.opening == opening and self._clock() - turn.at < CACHE_S:
            cached = min(turn.tokens, request.need.prompt_tokens)
        return Conversation(key, name, opening, turn, cached)

    def answered(self, conversation: Conversation, model: str, tokens: int) -> None:
        """A model has answered; `tokens` are those of prompt and answer."""
        if not conversation.key:
            return
        last = conversation.turn
        mixed = last is not None and last.opening == conversation.opening and (last.mixed or last.model != model)
        self._turns[conversation.key] = Turn(model, tokens, self._clock(), conversation.opening, mixed)
        self._turns.move_to_end(conversation.key)
        if len(self._turns) > self._most:
            self._turns.popitem(last=False)


def _named(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    """The session that a request names, by whatever clients name it with, the surest first."""
    if request.control.session is not None:
        return request.control.session
    for header in _SESSION_HEADERS:
        if value := headers.get(header):
            return value.decode("latin-1")
    fields: Mapping[str, Any] = request.fields if request.native is None else request.native.fields
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    user_id = metadata.get("user_id")
    if isinstance(user_id, str) and (claude_code := _CLAUDE_CODE.search(user_id)):
        return claude_code.group(1)
    candidates = [*(metadata.get(name) for name in _SESSION_FIELDS), fields.get("prompt_cache_key")]
    candidates += [request.session, fields.get("user"), user_id]
    return next((value for value in candidates if isinstance(value, str) and value), None)


def _key(request: ChatRequest, headers: Mapping[bytes, bytes], name: str) -> bytes:
    """One client's main and small calls often share a session but not a policy: each sticks to a model of its own."""
    whole = "\0".join((owner(headers), request.model, name))
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _opening(messages: list[dict[str, Any]]) -> bytes:
    """Digest of the system prompt and the first user turn."""
    texts = []
    for message in messages:
        texts.append(message_text(message)[:OPENING_CHARS])
        if message["role"] == "user":
            break
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
