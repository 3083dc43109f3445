"""Chat chunks and answers in the form that OpenAI gives them, out of what lesser servers write.

Everything behind this - failover, continuation, the writers of all formats - may rely on it: each choice has an index that is
a number, a delta (or message) that is an object, a finish reason that is a word or null, text that is text, and tool calls
with place, id, name and arguments as they must be. What is right already stays the same object, so that its bytes may pass.
"""

from collections.abc import Mapping
from typing import Any

from gateway.api.chat.frame import mended_logprobs
from gateway.api.chat.tool_calls import ToolCalls, number
from gateway.bodies import lenient_json
from gateway.bodies.lenient_json import REPLACEMENT, split_half
from gateway.core.chat_types import ChatChunk, ChunkChoice
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

Fields = dict[str, Any]
_NO_REASON = frozenset({"", "null", "none"})  # as servers write that the answer goes on
_KNOWN = {  # as other servers say what OpenAI has a word for
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
}
_WORDS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})  # OpenAI's own
_FAILED = frozenset(
    {
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "failed",
        "failure",
        "insufficient_system_resource",
        "malformed_function_call",
    }
)
_ENDS = frozenset({None, "stop", "function_call"})  # what servers say at the end of calls of tools
_TEXTS = frozenset({"reasoning", "reasoning_content", "refusal"})
_THOUGHTS = frozenset({"thinking", "reasoning", "summary_text", "reasoning_text"})
_NOT_PLAIN = frozenset({"error", "delta", "text"})  # of a whole answer's choice
_MORE = ("text", "thinking", "summary", "reasoning", "content")  # where a part has its text
_DEEPEST = 6  # parts within parts


def finish_reason(value: Any) -> str | None:
    """Why a choice ended; None while it goes on.

    Raises:
        UpstreamFailure: it ended by a fault of the provider, such as `error` or `network_error`.
    """
    if not isinstance(value, str) or (word := value.strip().lower()) in _NO_REASON:
        return None
    if "error" in word or word in _FAILED:
        raise UpstreamFailure(Cause.SERVER_ERROR, detail="finish reason error")
    return word if word in _WORDS else _KNOWN.get(word, value)


class ChunkMender:
    """Puts the chunks of one stream right."""

    __slots__ = ("_choices", "_halves", "_single", "spoke")

    def __init__(self, *, single: bool = False) -> None:
        """
        Args:
            single: one choice was asked for, so that it is choice 0 whatever number the server gives it.
        """
        self._single = single
        self.spoke = False  # some text has come, whether or not it was looked at
        self._choices: dict[int, _Choice] = {}
        self._halves: dict[tuple[Any, ...], str] = {}  # half characters, by where their other half will come

    @property
    def holds(self) -> bool:
        """Whether half of a character is held back, which the next piece of text will complete."""
        return bool(self._halves)

    def mended(self, fields: ChatChunk, *, strict: bool = True, whole: bool = False) -> ChatChunk:
        """The chunk as it must be: `fields` itself, where that is right.

        Args:
            fields: has a list of objects as `choices`, whose values are not checked.
            strict: no string has lone surrogates.
            whole: it is a whole answer in place of a stream, so that it has its end whether or not it says so.

        Raises:
            UpstreamFailure: a choice has an error, or ended by one.
        """
        choices = fields["choices"]
        changed: list[ChunkChoice] | None = None
        for at, choice in enumerate(choices):
            if strict and self._right(choice) and not whole:
                continue
            new = self._choice(choice, at, whole=whole)
            if new != choice:
                changed = changed or list(choices)
                changed[at] = new
        if changed is not None:
            fields = fields | {"choices": changed}
        return self._joined(fields) if self._halves or not strict else fields

    def _right(self, choice: Mapping[str, Any]) -> bool:
        """Whether it is certainly right. Quick, since all chunks come here; those at the ends of a choice are read closely."""
        delta, index = choice.get("delta"), choice.get("index")
        if type(delta) is not dict or type(index) is not int or choice.get("finish_reason") is not None:
            return False
        if index and self._single:
            return False
        for key, value in delta.items():
            if key == "tool_calls":
                state = self._choices.get(index)
                if value is not None and value != [] and (state is None or not state.calls.right(value)):
                    return False
            elif value is None:
                continue
            elif key == "content" or key in _TEXTS:
                if type(value) is not str:
                    return False
                self.spoke = self.spoke or bool(value)
            elif key in ("role", "function_call"):
                return False
        return not choice.get("error") and choice.get("logprobs") is None

    def _choice(self, choice: Mapping[str, Any], at: int, *, whole: bool) -> ChunkChoice:
        if choice.get("error"):
            raise classify_event(choice["error"])
        finish = finish_reason(choice.get("finish_reason"))
        index = at if self._single else number(choice.get("index"))
        if index is None:
            index = at
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = _Choice()
        delta = state.delta(_delta_of(choice, begun=state.spoke or self.spoke))
        if finish in _ENDS and state.calls and (finish or whole):
            finish = "tool_calls"
        if finish is None and whole:
            finish = "stop"
        if finish is not None:
            state.calls.check()
        if finish == "tool_calls" and (rest := state.calls.without_arguments()):
            delta["tool_calls"] = [*(delta.get("tool_calls") or ()), *rest]
        kept: Any = {key: value for key, value in choice.items() if key not in ("message", "text")}
        if kept.get("logprobs") is not None:
            kept["logprobs"] = mended_logprobs(kept["logprobs"])
        new: ChunkChoice = kept | {"index": index, "delta": delta, "finish_reason": finish}
        return new

    def _joined(self, fields: ChatChunk) -> ChatChunk:
        """The chunk with half characters completed or held back, which a text may be cut into."""
        choices = [self._joined_choice(choice) for choice in fields["choices"]]
        rest = lenient_json.clean({key: value for key, value in fields.items() if key != "choices"})
        chunk: ChatChunk = rest | {"choices": choices}
        return chunk

    def _joined_choice(self, choice: Mapping[str, Any]) -> ChunkChoice:
        index, delta = choice["index"], choice["delta"]
        ended = choice.get("finish_reason") is not None
        texts: dict[tuple[Any, ...], str] = {(index, k): v for k, v in delta.items() if isinstance(v, str)}
        calls = [call for call in delta.get("tool_calls") or () if isinstance(call.get("function"), dict)]
        texts |= {(index, call["index"], "arguments"): call["function"].get("arguments", "") for call in calls}
        for key in [key for key in self._halves if key[0] == index and (ended or key in texts)]:
            texts[key] = self._halves.pop(key) + texts.get(key, "")
        new = lenient_json.clean({k: v for k, v in delta.items() if not isinstance(v, str)})
        for key, text in texts.items():
            said, half = split_half(text)
            if half and ended:
                said += REPLACEMENT
            elif half:
                self._halves[key] = half
            if len(key) == 2:
                new[key[1]] = said
                continue
            call = next((call for call in new.get("tool_calls") or () if call["index"] == key[1]), None)
            if call is None:
                call = {"index": key[1], "function": {}}
                new["tool_calls"] = [*(new.get("tool_calls") or ()), call]
            call["function"]["arguments"] = said
        kept = lenient_json.clean({k: v for k, v in choice.items() if k != "delta"})
        joined: ChunkChoice = kept | {"delta": new}
        return joined


class _Choice:
    """What has been said of one choice."""

    __slots__ = ("_name", "_role", "calls", "spoke")

    def __init__(self) -> None:
        self.calls = ToolCalls()
        self.spoke = False
        self._role = False
        self._name = ""  # of the one function of the older API

    def delta(self, given: Fields) -> Fields:
        new: Fields = {}
        for key, value in given.items():
            if value is None:
                new[key] = value
            elif key == "role":  # clients add up strings: a second one would show
                if isinstance(value, str) and not self._role:
                    self._role = bool(value)
                    new[key] = "assistant" if value else value
            elif key == "content" or key in _TEXTS:
                self._text(new, key, value)
            elif key == "tool_calls":
                if calls := self.calls.mended(value):
                    new[key] = calls
                elif value == []:
                    new[key] = value
            elif key == "function_call":
                if isinstance(value, dict):
                    new[key] = self._function_call(value)
            else:
                new[key] = value
        return new

    def _text(self, new: Fields, key: str, value: Any) -> None:
        said, thought = (value, "") if isinstance(value, str) else _text_of(value)
        self.spoke = self.spoke or bool(said or thought)
        new[key] = (new.get(key) or "") + said if isinstance(said, str) else said
        if thought:
            new["reasoning_content"] = (new.get("reasoning_content") or "") + thought

    def _function_call(self, value: Fields) -> Fields:
        arguments, name = value.get("arguments"), value.get("name")
        new = dict(value)
        if arguments is not None and not isinstance(arguments, str):
            new["arguments"] = lenient_json.dumps(arguments).decode()
        if "name" in value and (not isinstance(name, str) or name == self._name):
            del new["name"]
        elif isinstance(name, str):
            self._name += name
        return new


def mended_answer(fields: Fields) -> Fields:
    """A whole chat completion as it must be: `fields` itself, where that is right.

    Args:
        fields: has a list of objects as `choices`.

    Raises:
        UpstreamFailure: a choice has an error, ended by one, or has no message: unreadable.
    """
    if all(map(_is_plain, fields["choices"])):
        return fields
    choices = [_whole_choice(choice, at) for at, choice in enumerate(fields["choices"])]
    return fields if choices == fields["choices"] else fields | {"choices": choices}


def _is_plain(choice: Fields) -> bool:
    """Whether it is certainly right. Quick, for the text that most answers are."""
    message = choice.get("message")
    return (
        type(message) is dict
        and message.get("role") == "assistant"
        and type(message.get("content")) is str
        and choice.get("finish_reason") in ("stop", "length")
        and type(choice.get("index")) is int
        and not message.get("tool_calls")
        and choice.get("logprobs") is None
        and _NOT_PLAIN.isdisjoint(choice)
        and all(message[key] is None or type(message[key]) is str for key in _TEXTS & message.keys())
    )


def _whole_choice(choice: Fields, at: int) -> Fields:
    if choice.get("error"):
        raise classify_event(choice["error"])
    finish = finish_reason(choice.get("finish_reason"))
    given = choice.get("message")
    if not isinstance(given, dict):
        given = _delta_of(choice, begun=False)
        if not given:
            raise UpstreamFailure(Cause.UNREADABLE, detail="no message in the answer")
    state = _Choice()
    message = state.delta(given)
    message["role"] = "assistant"
    message.setdefault("content", None)
    if state.calls:
        state.calls.check()
        places = {call["index"]: call for call in message["tool_calls"]}
        for call in state.calls.without_arguments():
            places[call["index"]]["function"]["arguments"] = "{}"
        indexed = [isinstance(call, dict) and "index" in call for call in _list(given.get("tool_calls"))]
        if not all(indexed):  # only streams need it
            for call in message["tool_calls"]:
                del call["index"]
        if finish in _ENDS:
            finish = "tool_calls"
    index = choice.get("index")
    kept = {key: value for key, value in choice.items() if key not in ("delta", "text")}
    if kept.get("logprobs") is not None:
        kept["logprobs"] = mended_logprobs(kept["logprobs"])
    finish = finish or "stop"  # it is whole, whether or not it says so
    return kept | {"index": index if type(index) is int else at, "message": message, "finish_reason": finish}


def _delta_of(choice: Mapping[str, Any], *, begun: bool) -> Fields:
    """What a choice adds, wherever it has it.

    Args:
        begun: something was said before, so that a whole message is no more than a repetition.
    """
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    if isinstance(delta, str):
        return {"content": delta}
    if isinstance(message := choice.get("message"), dict):
        return {} if begun else message
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}


def _text_of(content: Any) -> tuple[Any, str]:
    """The text of content that is no text, and the reasoning within it. Content with pictures or sound stays as it is."""
    if isinstance(content, dict):
        return (content["text"], "") if isinstance(content.get("text"), str) else _dumped(content)
    if not isinstance(content, list):
        return _dumped(content)
    said, thought = "", ""
    for part in content:
        if isinstance(part, dict) and isinstance(kind := part.get("type"), str) and kind in _THOUGHTS:
            thought += _words(part)
        elif isinstance(part, str):
            said += part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            said += part["text"]
        elif isinstance(part, dict):
            return [part for part in content if isinstance(part, dict)], ""
    return said, thought


def _dumped(content: Any) -> tuple[str, str]:
    return lenient_json.dumps(content).decode(), ""


def _words(part: Any, depth: int = 0) -> str:
    """The text of a part of reasoning, which may be a list of parts again."""
    if isinstance(part, str):
        return part
    if isinstance(part, list) and depth < _DEEPEST:
        return "".join(_words(each, depth + 1) for each in part)
    if isinstance(part, dict) and depth < _DEEPEST:
        return next((words for key in _MORE if (words := _words(part.get(key), depth + 1))), "")
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
