"""Conversations: which model answered last, so that the next turn goes there unless another is worth the switch.

A bounded table in memory. A request belongs to the conversation whose last answer it carries; where it carries none that
the gateway gave, to the session that it names.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from gateway.core.key_digest import key_digest
from gateway.core.vocabulary import Clock
from gateway.request.chat_request import ChatRequest
from gateway.request.last_answer import LastAnswer, answer_in_messages
from gateway.request.query_text import message_text

MOST = 40_000  # answers and named sessions that are remembered; the one that was silent longest goes first
CACHE_S = 300.0  # so long a provider keeps a prompt that was not used again (Anthropic's and OpenAI's least)
OPENING_CHARS = 20_000  # of the system prompt and of the first user turn, each
NAME_CHARS = 256  # of a session's name, which is stored too; of a longer one both ends
QUESTION_CHARS = 200  # of the user turn that an answer is to: agents add to its end, and take that out again
_SESSION_HEADERS = (b"x-claude-code-session-id", b"session_id", b"session-id", b"x-session-id")
# Sub-agents share the session of the agent that started them, but each has a conversation of its own.
_AGENT_HEADERS = (b"x-claude-code-agent-id", b"thread-id", b"thread_id", b"x-openai-subagent")
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
        mixed: whether several models have answered in it.
        requested: the model or policy that its request named.
    """

    model: str
    tokens: int
    at: float
    opening: bytes
    mixed: bool = False
    requested: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's conversation.

    Attributes:
        name: the session that the client names; empty where it names none.
        opening: digest of how the conversation begins.
        key: of the named session in the table; None without a name.
        owner: whose request it is; None where it belongs to no conversation.
        requested: the model or policy that it names.
        question: begin of the user turn that is being answered.
        last: its last answer; None where it begins, or is not known.
        turn: the same where the conversation may keep that answer's model: not where the client now asks for another model
            or policy, unless tool calls are under way.
        cached_tokens: of the request's prompt, what the last model's provider still has in its cache.
    """

    name: str = ""
    opening: bytes = b""
    key: bytes | None = None
    key_digest: str | None = None
    requested: str = ""
    question: str = ""
    last_turn: Turn | None = None
    sticky_turn: Turn | None = None
    cached_tokens: int = 0


class ConversationTable:
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
        """The conversation that a request goes on with. May run in a thread.

        Told by the last answer in the request, if the gateway gave it to the same client; else by the session that the
        request names. How a conversation begins tells nothing: many agents begin each one alike.
        """
        if request.is_utility_call:
            return Conversation()
        messages = request.fields["messages"]
        opening = _opening(messages)
        name = _named(request, headers)
        asking = key_digest(headers)
        # One client's main and small calls often share a session but not a policy: each sticks to a model of its own.
        key = None if name is None else _digest("session", asking, request.model, name)
        found = None
        same = False  # does the answer that was found certainly belong to this conversation?
        if (given := answer_in_messages(messages)) is not None and given[0].is_identifiable:
            found = self._turns.get(_answer_key(asking, given[1], given[0]))
            same = found is not None
        if found is None and key is not None:
            found = self._turns.get(key)
            # Where a client names its user rather than the conversation, a new one has nothing of the old in the cache.
            same = found is not None and found.opening == opening
        cached = 0
        if found is not None and same:
            if self._clock() - found.at < CACHE_S:
                cached = min(found.tokens, request.requirements.prompt_tokens)
            if found.opening != opening:
                found = replace(found, opening=opening)  # an agent that writes the time into its system prompt
        kept = found if found is not None and (found.requested == request.model or request.mid_turn) else None
        return Conversation(
            name or "", opening, key, asking, request.model, _question(messages), found, kept, cached if kept else 0
        )

    def record_answer(self, conversation: Conversation, model: str, tokens: int, answer: LastAnswer) -> None:
        """A model has answered; `tokens` are those of prompt and answer."""
        if conversation.key_digest is None:
            return
        last = conversation.last_turn
        mixed = last is not None and last.opening == conversation.opening and (last.mixed or last.model != model)
        turn = Turn(model, tokens, self._clock(), conversation.opening, mixed, conversation.requested)
        if answer.is_identifiable:
            self._keep(_answer_key(conversation.key_digest, conversation.question, answer), turn)
        if conversation.key is not None:
            self._keep(conversation.key, turn)

    def _keep(self, key: bytes, turn: Turn) -> None:
        self._turns[key] = turn
        self._turns.move_to_end(key)
        if len(self._turns) > self._most:
            self._turns.popitem(last=False)


def _named(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    """The session that a request names, with the sub-agent that it names; None where it names no session."""
    session = _session(request, headers)
    agents = [headers[name].decode("latin-1") for name in _AGENT_HEADERS if headers.get(name)]
    if session is None and not agents:
        return None
    return "\0".join(map(_shortened, [session or "", *agents]))


def _shortened(name: str) -> str:
    half = NAME_CHARS // 2
    return name if len(name) <= NAME_CHARS else name[:half] + name[-half:]


def _session(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    """The session that a request names, by whatever field or header clients name it with, the surest first."""
    if request.overrides.session is not None:
        return request.overrides.session
    for header in _SESSION_HEADERS:
        if value := headers.get(header):
            return value.decode("latin-1")
    fields: Mapping[str, Any] = request.fields if request.native is None else request.native.fields
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    user_id = metadata.get("user_id")
    if isinstance(user_id, str) and (claude_code := _CLAUDE_CODE.search(user_id[-NAME_CHARS:])):
        return claude_code.group(1)
    candidates = [*(metadata.get(name) for name in _SESSION_FIELDS), fields.get("prompt_cache_key")]
    candidates += [request.session, fields.get("user"), user_id]
    return next((value for value in candidates if isinstance(value, str) and value), None)


def _answer_key(key_digest: str, question: str, answer: LastAnswer) -> bytes:
    return _digest("answer", key_digest, question[:QUESTION_CHARS].strip(), answer.text, *answer.calls)


def _question(messages: list[dict[str, Any]]) -> str:
    return next((message_text(m)[:QUESTION_CHARS] for m in reversed(messages) if m["role"] == "user"), "")


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _opening(messages: list[dict[str, Any]]) -> bytes:
    """Digest of the system prompt and the first user turn."""
    texts = []
    for message in messages:
        texts.append(message_text(message)[:OPENING_CHARS])
        if message["role"] == "user":
            break
    return _digest(*texts)
