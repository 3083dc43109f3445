"""Characters that a provider splits between two chunks, as halves of a surrogate pair or of a UTF-8 sequence."""

from typing import TypeAlias

from gateway.bodies import lenient_json
from gateway.bodies.lenient_json import REPLACEMENT, split_half
from gateway.core.chat_types import ChatChunk, ChunkChoice

Place: TypeAlias = tuple[int, str] | tuple[int, int, str]
"""A text of a stream: choice and field, or choice, tool call and field."""


class SplitCharacters:
    """Holds back the first half of a character until the next chunk of the same text brings the second.

    Attributes:
        held: the halves, by the place of their text.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Place, str] = {}

    def join(self, fields: ChatChunk) -> ChatChunk:
        """Return the chunk without lone surrogates: halves from earlier chunks are put in front, new ones are held back."""
        choices = [self._join_choice(choice) for choice in fields["choices"]]
        rest = lenient_json.clean({key: value for key, value in fields.items() if key != "choices"})
        chunk: ChatChunk = rest | {"choices": choices}
        return chunk

    def _join_choice(self, choice: ChunkChoice) -> ChunkChoice:
        index, delta = choice["index"], choice["delta"]
        ended = choice.get("finish_reason") is not None
        texts: dict[Place, str] = {(index, k): v for k, v in delta.items() if isinstance(v, str)}
        calls = [call for call in delta.get("tool_calls") or () if isinstance(call.get("function"), dict)]
        texts |= {(index, call["index"], "arguments"): call["function"].get("arguments", "") for call in calls}
        for key in [key for key in self.held if key[0] == index and (ended or key in texts)]:
            texts[key] = self.held.pop(key) + texts.get(key, "")
        new = lenient_json.clean({k: v for k, v in delta.items() if not isinstance(v, str)})
        for key, text in texts.items():
            complete, half = split_half(text)
            if half and ended:
                complete += REPLACEMENT
            elif half:
                self.held[key] = half
            if len(key) == 2:
                new[key[1]] = complete
                continue
            call = next((call for call in new.get("tool_calls") or () if call["index"] == key[1]), None)
            if call is None:
                call = {"index": key[1], "function": {}}
                new["tool_calls"] = [*(new.get("tool_calls") or ()), call]
            call["function"]["arguments"] = complete
        kept = lenient_json.clean({k: v for k, v in choice.items() if k != "delta"})
        joined: ChunkChoice = kept | {"delta": new}
        return joined
