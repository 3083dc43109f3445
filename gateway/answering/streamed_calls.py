"""The tool calls of a streamed answer, put together from the normal chunks of a stream."""

from dataclasses import dataclass, field

from gateway.core.json_types import JsonObject, objects_in

MOST_CALLS = 1_000
MOST_CHARS = 64 << 10  # of the arguments of one call that are kept


@dataclass(slots=True)
class _Call:
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    chars: int = 0


class StreamedCalls:
    """The tool calls of one choice."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[object, _Call] = {}  # by their index

    def add(self, delta: object) -> None:
        """Adds the `tool_calls` of a chunk."""
        for piece in objects_in(delta):
            index = piece.get("index")
            call = self._calls.get(index)
            if call is None:
                if len(self._calls) >= MOST_CALLS:
                    continue
                self._calls[index] = call = _Call()
            call.id = piece.get("id") or call.id
            function = piece.get("function") or piece.get("custom")  # a custom tool takes free text
            if isinstance(function, dict):
                call.name += function.get("name") or ""
                arguments = function.get("arguments", function.get("input"))
                if isinstance(arguments, str) and call.chars < MOST_CHARS:
                    call.arguments.append(arguments)
                    call.chars += len(arguments)

    def complete(self) -> list[JsonObject]:
        """The calls in the form of a chat answer."""
        return [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.arguments)}}
            for call in self._calls.values()
        ]
