"""Chat chunks as OpenAI writes them, from what other providers write.

Everything behind this (failover, continuation, the writers of all formats) may rely on it: each choice has an index that is a
number, a delta that is an object, a finish reason that is a known word or null, text that is a string, and tool calls with
index, id, name and arguments. A chunk that is normal already stays the same object, so that its bytes may pass.
"""

from collections.abc import Mapping
from typing import Any

from gateway.api.chat.envelope import normalize_logprobs
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.message_content import message_of
from gateway.api.chat.message_normalizer import TEXT_FIELDS, TOOL_CALL_ENDS, MessageNormalizer
from gateway.api.chat.split_characters import SplitCharacters
from gateway.api.chat.tool_calls import call_index
from gateway.core.chat_types import ChatChunk, ChunkChoice
from gateway.provider_errors.failures import classify_event


class ChunkNormalizer:
    """Normalizes the chunks of one stream.

    Attributes:
        has_text: a chunk with text has come. A reader that relays chunks of text without this class sets it.
        characters: holds back the halves of characters.
    """

    __slots__ = ("_choices", "_single", "characters", "has_text")

    def __init__(self, *, single: bool = False) -> None:
        """
        Args:
            single: the client asked for one choice, so it is choice 0, whatever index the provider writes.
        """
        self._single = single
        self.has_text = False
        self.characters = SplitCharacters()
        self._choices: dict[int, MessageNormalizer] = {}

    def normalize(self, fields: ChatChunk, *, strict: bool = True, complete: bool = False) -> ChatChunk:
        """Return the chunk as OpenAI would write it; the same object if nothing has to change.

        Args:
            fields: has a list of objects as `choices`, whose values are not checked.
            strict: no string has lone surrogates.
            complete: the chunk is a complete answer instead of a stream, so its choices have ended even if they do not say so.

        Raises:
            UpstreamFailure: a choice has an error, or ended with one.
        """
        choices = fields["choices"]
        changed: list[ChunkChoice] | None = None
        for position, choice in enumerate(choices):
            if strict and self._is_normal(choice) and not complete:
                continue
            new = self._normalize(choice, position, complete=complete)
            if new != choice:
                changed = changed or list(choices)
                changed[position] = new
        if changed is not None:
            fields = fields | {"choices": changed}
        return self.characters.join(fields) if self.characters.held or not strict else fields

    def _is_normal(self, choice: Mapping[str, object]) -> bool:
        """Return True if nothing has to change. Fast, since every chunk comes here; the first and last of a choice give False."""
        delta, index = choice.get("delta"), choice.get("index")
        if type(delta) is not dict or type(index) is not int or choice.get("finish_reason") is not None:
            return False
        if index and self._single:
            return False
        for key, value in delta.items():
            if key == "tool_calls":
                state = self._choices.get(index)
                if (
                    value is not None
                    and value != []
                    and (state is None or not state.calls.are_further_arguments(value))
                ):
                    return False
            elif value is None:
                continue
            elif key == "content" or key in TEXT_FIELDS:
                if type(value) is not str:
                    return False
                self.has_text = self.has_text or bool(value)
            elif key in ("role", "function_call"):
                return False
        return not choice.get("error") and choice.get("logprobs") is None

    def _normalize(self, choice: Mapping[str, object], position: int, *, complete: bool) -> ChunkChoice:
        if choice.get("error"):
            raise classify_event(choice["error"])
        finish = finish_reason(choice.get("finish_reason"))
        index = position if self._single else call_index(choice.get("index"))
        if index is None:
            index = position
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = MessageNormalizer()
        delta = state.normalize(message_of(choice, begun=state.has_text or self.has_text))
        if finish in TOOL_CALL_ENDS and state.calls and (finish or complete):
            finish = "tool_calls"
        if finish is None and complete:
            finish = "stop"
        if finish is not None:
            state.calls.check()
        if finish == "tool_calls" and (rest := state.calls.empty_arguments()):
            delta["tool_calls"] = [*(delta.get("tool_calls") or ()), *rest]
        kept: Any = {key: value for key, value in choice.items() if key not in ("message", "text")}
        if kept.get("logprobs") is not None:
            kept["logprobs"] = normalize_logprobs(kept["logprobs"])
        new: ChunkChoice = kept | {"index": index, "delta": delta, "finish_reason": finish}
        return new
