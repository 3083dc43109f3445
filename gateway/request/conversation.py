"""Remembers which model answered each conversation last, so that the next turn can stay with this model.

The table is bounded and in memory. A request continues the conversation whose last answer it contains. If it contains no answer of
the gateway, it continues the session that it names.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple

from gateway.core.json_types import JsonObject
from gateway.core.key_digest import key_digest
from gateway.core.vocabulary import Clock
from gateway.request.chat_request import ChatRequest
from gateway.request.last_answer import LastAnswer, answer_in_messages
from gateway.request.query_text import message_text

MAX_TURNS = 40_000  # answers and named sessions in the table; the least recently used one is removed first
CACHE_S = 300.0  # how long providers cache an unused prompt: the minimum of Anthropic and OpenAI
OPENING_CHARS = 20_000  # of the system prompt, and of the first user turn
NAME_CHARS = 256  # of a session name; a longer one is shortened to its two ends
QUESTION_CHARS = 200  # of the user turn before an answer: agents append text to a turn, and remove it again later
_SESSION_HEADERS = (b"x-claude-code-session-id", b"session_id", b"session-id", b"x-session-id")
# Sub-agents share the session of their parent agent, but each one has a separate conversation.
_AGENT_HEADERS = (b"x-claude-code-agent-id", b"thread-id", b"thread_id", b"x-openai-subagent")
_SESSION_FIELDS = ("session_id", "conversation_id", "thread_id", "chat_id")
_CLAUDE_CODE = re.compile(r"_session_([0-9a-f-]{36})\Z")


@dataclass(frozen=True, slots=True)
class Turn:
    """The last answer of a conversation.

    Attributes:
        model: the model that answered.
        tokens: the tokens of prompt and answer, which the provider has in its cache.
        at: the time of the answer, by the table's clock.
        opening: digest of the beginning of the conversation.
        mixed: True if several models have answered in the conversation.
        requested: the model or policy that the request named.
    """

    model: str
    tokens: int
    at: float
    opening: bytes
    mixed: bool = False
    requested: str = ""


class Conversation(NamedTuple):
    """A request's conversation.

    Attributes:
        name: the session name that the client sent; empty if it sent none.
        opening: digest of the beginning of the conversation.
        key: the key of the named session in the table; None without a name.
        key_digest: digest of the client's API key; None if the request belongs to no conversation.
        requested: the model or policy that the request names.
        question: the beginning of the user turn that is being answered.
        last_turn: the last answer; None if the conversation is new or unknown.
        sticky_turn: the last answer if the conversation may stay with its model, else None. It may not if the client now
            requests another model or policy, unless the request returns tool results.
        cached_tokens: the tokens of the prompt that the last model's provider still has in its cache.
        answer_key: the key of the last answer in the request in the table; None if the request has none that identifies it.
        unknown: of these keys, those that are not in the table although they would say more than it does.
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
    answer_key: bytes | None = None
    unknown: tuple[bytes, ...] = ()


class ConversationTable:
    """The table of last answers.

    Args:
        clock: monotonic seconds.
        max_turns: the size of the table.

    Attributes:
        tell: called with the key and the turn of each answer that is recorded.
    """

    def __init__(self, clock: Clock, max_turns: int = MAX_TURNS) -> None:
        self.tell: Callable[[bytes, Turn], None] = lambda key, turn: None
        self._clock = clock
        self._max_turns = max_turns
        self._turns: OrderedDict[bytes, Turn] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def find(self, request: ChatRequest, headers: Mapping[bytes, bytes]) -> Conversation:
        """Return the conversation that a request continues. May run in a thread.

        It is identified by the last answer in the request, if the gateway gave that answer to the same client; else by the
        session that the request names. The beginning of a conversation does not identify it, since agents
        begin all conversations in the same way.
        """
        if request.is_utility_call:
            return Conversation()
        messages = request.fields["messages"]
        name = _conversation_name(request, headers)
        client = key_digest(headers)
        answer = answer_in_messages(messages)
        identified = answer is not None and answer[0].is_identifiable
        conversation = Conversation(
            name=name or "",
            opening=_opening(messages),
            # Main calls and small calls of a client often share a session but not a policy: each has a sticky model of its own.
            key=None if name is None else _digest("session", client, request.model, name),
            key_digest=client,
            requested=request.model,
            question=_question(messages),
            answer_key=_answer_key(client, answer[1], answer[0]) if answer is not None and identified else None,
        )
        return self._continued(conversation, request)

    def add(self, conversation: Conversation, request: ChatRequest, turns: Mapping[bytes, Turn]) -> Conversation:
        """Return a conversation with turns that another gateway knows, by their keys; they are stored here too."""
        for key, turn in turns.items():
            self._store(key, turn)
        return self._continued(conversation, request)

    def _continued(self, conversation: Conversation, request: ChatRequest) -> Conversation:
        """Return the conversation with what the table knows of it."""
        opening, key = conversation.opening, conversation.key
        last = None if conversation.answer_key is None else self._turns.get(conversation.answer_key)
        certain = last is not None
        unknown: tuple[bytes, ...] = ()
        if last is None:
            last = None if key is None else self._turns.get(key)
            # If the name identifies the user and not the conversation, the cache may hold nothing of this conversation.
            certain = last is not None and last.opening == opening
            unknown = tuple(k for k in (conversation.answer_key, key) if k is not None and k not in self._turns)
        cached_tokens = 0
        if last is not None and certain:
            if self._clock() - last.at < CACHE_S:
                cached_tokens = min(last.tokens, request.requirements.prompt_tokens)
            if last.opening != opening:
                last = replace(last, opening=opening)  # some agents write the time into their system prompt
        sticky = last if last is not None and (last.requested == request.model or request.mid_turn) else None
        return conversation._replace(
            last_turn=last,
            sticky_turn=sticky,
            cached_tokens=cached_tokens if sticky else 0,
            unknown=unknown,
        )

    def record_answer(self, conversation: Conversation, model: str, tokens: int, answer: LastAnswer) -> None:
        """Store the last answer of a conversation; `tokens` are the tokens of prompt and answer."""
        if conversation.key_digest is None:
            return
        last = conversation.last_turn
        mixed = last is not None and last.opening == conversation.opening and (last.mixed or last.model != model)
        turn = Turn(model, tokens, self._clock(), conversation.opening, mixed, conversation.requested)
        keys = [] if conversation.key is None else [conversation.key]
        if answer.is_identifiable:
            keys.append(_answer_key(conversation.key_digest, conversation.question, answer))
        for key in keys:
            self._store(key, turn)
            self.tell(key, turn)

    def _store(self, key: bytes, turn: Turn) -> None:
        self._turns[key] = turn
        self._turns.move_to_end(key)
        if len(self._turns) > self._max_turns:
            self._turns.popitem(last=False)


def _conversation_name(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    """Return the session and the sub-agents that a request names, as one name; None if it names none."""
    session = _session_name(request, headers)
    agents = [headers[name].decode("latin-1") for name in _AGENT_HEADERS if headers.get(name)]
    if session is None and not agents:
        return None
    return "\0".join(map(_shortened, [session or "", *agents]))


def _shortened(name: str) -> str:
    """Return a name of at most `NAME_CHARS`: the two ends of a longer one."""
    half = NAME_CHARS // 2
    return name if len(name) <= NAME_CHARS else name[:half] + name[-half:]


def _session_name(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    """Return the session that a request names. Fields and headers are tried in order, the most specific first."""
    if request.overrides.session is not None:
        return request.overrides.session
    for header in _SESSION_HEADERS:
        if value := headers.get(header):
            return value.decode("latin-1")
    fields = request.fields if request.native is None else request.native.fields
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    user_id = metadata.get("user_id")
    if isinstance(user_id, str) and (claude_code := _CLAUDE_CODE.search(user_id[-NAME_CHARS:])):
        return claude_code.group(1)
    candidates = [*(metadata.get(name) for name in _SESSION_FIELDS), fields.get("prompt_cache_key")]
    candidates += [request.session, fields.get("user"), user_id]
    return next((value for value in candidates if isinstance(value, str) and value), None)


def _answer_key(client: str, question: str, answer: LastAnswer) -> bytes:
    return _digest("answer", client, question[:QUESTION_CHARS].strip(), answer.text, *answer.calls)


def _question(messages: list[JsonObject]) -> str:
    """Return the beginning of the last user turn; empty if there is none."""
    return next((message_text(m)[:QUESTION_CHARS] for m in reversed(messages) if m["role"] == "user"), "")


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _opening(messages: list[JsonObject]) -> bytes:
    """Return a digest of the messages up to and including the first user turn."""
    texts = []
    for message in messages:
        texts.append(message_text(message)[:OPENING_CHARS])
        if message["role"] == "user":
            break
    return _digest(*texts)
