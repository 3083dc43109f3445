"""Transcript: what the client of a stream has been given so far, by whichever models wrote it."""

from typing import Any

from gateway.core.chat_types import ChatChunk, ChatMessage
from gateway.request.last_answer import LastAnswer, last_answer
from gateway.request.request import Request

MAX_CONTINUED_CHARS = 2_000_000  # far beyond what a model writes in one answer
_TEXT_ALONE = frozenset({"role", "content"})
_REASONING = frozenset({"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"})


class Transcript:
    """Keeps the stream one stream: one id and creation time, one finish reason per choice.

    Attributes:
        pieces: the text of choice 0, as it was sent, as long as another model could go on with it.
        contents: chunks with content of any kind.
        models: who wrote it, in order.
        told: what the first chunks say in `locus`, up to the one with content.
        tool_call_ids: of the tool calls in it.
    """

    __slots__ = (
        "_begun",
        "_choices",
        "_created",
        "_finished",
        "_id",
        "_length",
        "_structured",
        "_whole",
        "contents",
        "fields",
        "models",
        "pieces",
        "told",
        "tool_call_ids",
    )

    def __init__(self, request: Request) -> None:
        self.fields = request.fields
        self.pieces: list[str] = []
        self.contents = 0
        self.models: list[str] = []
        self.told: dict[str, Any] | None = None
        self.tool_call_ids: list[str] = []
        self._choices = request.choices
        self._structured = request.structured
        self._length = 0
        self._whole = False  # something was sent that no other model could go on with
        self._id: Any = None
        self._created: Any = None
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    @property
    def complete(self) -> bool:
        """Whether the client has all of every choice."""
        return len(self._finished) >= self._choices and not self._begun - self._finished

    @property
    def ended(self) -> bool:
        """Whether the stream may end here. A provider may give fewer choices than asked for."""
        return bool(self._finished) and not self._begun - self._finished

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def whole(self) -> str | None:
        """Why no other model can continue from here; None where one can."""
        if self._choices > 1:
            return "it has several choices"
        if self._whole:
            return "it has more than text, such as calls of tools"
        if self._structured and self.pieces:
            return "it is structured output"
        if self._length > MAX_CONTINUED_CHARS:
            return f"it has more than {MAX_CONTINUED_CHARS} characters"
        return None

    def take(self, fields: ChatChunk) -> ChatChunk | None:
        """Notes a chunk that is sent to the client.

        Returns:
            the fields that it must have instead, where its bytes cannot stay: another id than the stream's, a second
            finish reason, or the last chunk of a stream that several models wrote, which names them; or what headers could
            not tell. None: they can.
        """
        changed: ChatChunk | None = None
        for choice in fields["choices"]:
            index = choice["index"]
            self._begun.add(index)
            self._note(index, choice["delta"])
            if choice.get("finish_reason") is None:
                continue
            if index in self._finished:
                others = [c if c is not choice else c | {"finish_reason": None} for c in (changed or fields)["choices"]]
                changed = (changed or fields) | {"choices": others}
                continue
            self._finished.add(index)
            if len(self.models) > 1:
                changed = (changed or fields) | {"locus": {"models": self.models}}
        if self.told is not None:
            written = changed.get("locus", {}) if changed is not None else {}
            changed = (changed or fields) | {"locus": self.told | written}
            if self.contents or self._finished:
                self.told = None
        if self._id is None:
            self._id, self._created = fields.get("id"), fields.get("created")
        elif fields.get("id") != self._id or fields.get("created") != self._created:
            changed = (changed or fields) | {"id": self._id, "created": self._created}
        return changed

    def _note(self, index: int, delta: ChatMessage) -> None:
        text = delta.get("content")
        if text:
            self.contents += 1
            if isinstance(text, str) and index == 0:
                self._length += len(text)
                if self._length <= MAX_CONTINUED_CHARS:
                    self.pieces.append(text)
            else:
                self._whole = True
        if not delta.keys() <= _TEXT_ALONE:
            given = {key for key, value in delta.items() if value} - _TEXT_ALONE
            self.contents += bool(given)
            self._whole = self._whole or not given <= _REASONING
            if calls := delta.get("tool_calls"):
                self.tool_call_ids += [call["id"] for call in calls if isinstance(call, dict) and call.get("id")]


def in_transcript(transcript: Transcript) -> LastAnswer:
    """A streamed answer's, by however many models it was written."""
    return last_answer(transcript.text, transcript.tool_call_ids)
