"""Transcript: the part of a streamed answer that the client has, by all models that wrote it."""

from typing import Any

from gateway.answering.streamed_calls import StreamedCalls
from gateway.core.chat_types import ChatChunk, ChatMessage
from gateway.request.last_answer import LastAnswer, last_answer
from gateway.request.request import Request

MAX_CONTINUED_CHARS = 2_000_000  # far beyond what a model writes in one answer
_TEXT_ALONE = frozenset({"role", "content"})
_REASONING = frozenset({"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"})


class Transcript:
    """Records the chunks, and keeps one id, one creation time and one finish reason per choice in a stream of several models.

    Attributes:
        pieces: the text of choice 0 as it was sent, up to `MAX_CONTINUED_CHARS`.
        contents: the number of chunks with content of any kind.
        models: the models that wrote it, in order.
        locus_fields: `locus` object of the first chunks, up to the one with content.
        tool_call_ids: ids of the tool calls in it.
        calls: the tool calls of choice 0.
        has_images: it has images.
        finish_reasons: of its choices that are finished.
    """

    __slots__ = (
        "_begun",
        "_choices",
        "_created",
        "_finished",
        "_id",
        "_length",
        "_structured",
        "_text_only",
        "calls",
        "contents",
        "fields",
        "finish_reasons",
        "has_images",
        "locus_fields",
        "models",
        "pieces",
        "tool_call_ids",
    )

    def __init__(self, request: Request) -> None:
        self.fields = request.fields
        self.pieces: list[str] = []
        self.contents = 0
        self.models: list[str] = []
        self.locus_fields: dict[str, Any] | None = None
        self.tool_call_ids: list[str] = []
        self.calls = StreamedCalls()
        self.has_images = False
        self.finish_reasons: list[str] = []
        self._choices = request.choice_count
        self._structured = request.requires_json
        self._length = 0
        self._text_only = True  # False after content that no other model can continue
        self._id: Any = None
        self._created: Any = None
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    @property
    def complete(self) -> bool:
        """Return True if the client has the end of every requested choice."""
        return len(self._finished) >= self._choices and not self._begun - self._finished

    @property
    def ended(self) -> bool:
        """Return True if the stream may end here. A provider may return fewer choices than requested."""
        return bool(self._finished) and not self._begun - self._finished

    @property
    def text(self) -> str:
        """The text of choice 0."""
        return "".join(self.pieces)

    @property
    def not_continuable(self) -> str | None:
        """The reason why another model cannot continue the stream, or None."""
        if self._choices > 1:
            return "it has several choices"
        if not self._text_only:
            return "it has more than text, such as calls of tools"
        if self._structured and self.pieces:
            return "it is structured output"
        if self._length > MAX_CONTINUED_CHARS:
            return f"it has more than {MAX_CONTINUED_CHARS} characters"
        return None

    def add(self, fields: ChatChunk) -> ChatChunk | None:
        """Records a chunk that is sent to the client.

        Returns:
            the fields that the chunk must have instead; None if it can be sent as it is. Chunks change that have another id
            than the stream or a second finish reason, the last chunk of a stream of several models, which names the models,
            and the first chunks if there are `locus_fields`.
        """
        changed: ChatChunk | None = None
        for choice in fields["choices"]:
            index = choice["index"]
            self._begun.add(index)
            self._note(index, choice["delta"])
            if (reason := choice.get("finish_reason")) is None:
                continue
            if index in self._finished:
                others = [c if c is not choice else c | {"finish_reason": None} for c in (changed or fields)["choices"]]
                changed = (changed or fields) | {"choices": others}
                continue
            self._finished.add(index)
            self.finish_reasons.append(reason)
            if len(self.models) > 1:
                changed = (changed or fields) | {"locus": {"models": self.models}}
        if self.locus_fields is not None:
            written = changed.get("locus", {}) if changed is not None else {}
            changed = (changed or fields) | {"locus": self.locus_fields | written}
            if self.contents or self._finished:
                self.locus_fields = None
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
                self._text_only = False
        if not delta.keys() <= _TEXT_ALONE:
            given = {key for key, value in delta.items() if value} - _TEXT_ALONE
            self.contents += bool(given)
            self._text_only = self._text_only and given <= _REASONING
            self.has_images = self.has_images or "images" in given
            if calls := delta.get("tool_calls"):
                if index == 0:
                    self.calls.add(calls)
                self.tool_call_ids += [call["id"] for call in calls if isinstance(call, dict) and call.get("id")]


def in_transcript(transcript: Transcript) -> LastAnswer:
    """The last answer of a conversation, from a stream by one or more models."""
    return last_answer(transcript.text, transcript.tool_call_ids)
