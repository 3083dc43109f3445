"""The stream of one response: events with their sequence numbers, by whichever models they come from."""

import json
from collections.abc import Callable
from typing import Any

import orjson

from gateway.api.responses.answer_from_chat import (
    INCOMPLETE,
    Fields,
    completed,
    native_request,
    previous_response_id_of,
    response_in_progress,
    tool_names_of,
)
from gateway.api.responses.repair import is_response, mended
from gateway.api.responses.stream_output import Output
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.sse import Event, EventReader
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError, StreamFiltered
from gateway.request.chat_request import ChatRequest

STATUSES = frozenset({"in_progress", "completed", "incomplete"})
LAST = frozenset({"response.completed", "response.incomplete"})


class ResponsesWriter:
    """Writes events from chat chunks; or passes a native stream on, following it, until another model must go on with it.

    The last event is given out by `end` alone, also where it is a native one, so that the response can be stored before.

    Attributes:
        response: the finished Response object, once there is one: the last event was written, or waits for `end`.
    """

    def __init__(self, request: ChatRequest, clock: Callable[[], float]) -> None:
        self.response: Fields | None = None
        native = native_request(request)
        self._request = request
        self._clock = clock
        self._previous = previous_response_id_of(native)
        self._output = Output(tool_names_of(native))
        self._sequence = 0
        self._base: Fields | None = None  # the Response object as it was created
        self._passing: bool | None = None  # events of the first model pass; None before the first
        self._held = b""  # the last event of a native stream
        self._over = False
        self._finish: Any = None
        self._tier: Any = None
        self._locus: Any = None

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        if chunk.api == "responses" and chunk.raw and self._passing is not False:
            events = EventReader().feed(chunk.raw)
            parsed = [(event, _json(event)) for event in events]
            begins = any(_kind(event) == "response.created" for _, event in parsed)
            if begins == (self._passing is None):
                self._passing = True
                self._locus = fields.get("locus") or self._locus
                return b"".join([self._pass(event, value, model) for event, value in parsed])
        self._passing = False
        written = self._begin(model)
        for choice in fields["choices"]:
            if choice.get("index"):
                continue
            written += self._events(self._output.delta(choice.get("delta") or {}, choice.get("logprobs")))
            self._finish = choice.get("finish_reason") or self._finish
        self._tier = fields.get("service_tier") or self._tier
        if "locus" in fields:
            self._locus = (self._locus or {}) | fields["locus"]
        return written

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if self._over:
            return b""
        self._over = True
        if self._held:
            return self._held
        cut = isinstance(self._finish, str) and self._finish in INCOMPLETE
        written = self._begin(model) + self._events(self._output.close("incomplete" if cut else "completed"))
        assert self._base is not None
        response = completed(
            self._base, self._output.items(), self._finish, usage, int(self._clock()), model, self._tier
        )
        if self._locus is not None:
            response["locus"] = self._locus
        self.response = response
        kind = "response.incomplete" if cut else "response.completed"
        return written + self._events([{"type": kind, "response": response}])

    def error(self, error: GatewayError) -> bytes:
        """A failed response, with as much of it as there is."""
        if self._over:
            return b""
        self._over = True
        self.response = None
        written = self._begin("")
        assert self._base is not None
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        if isinstance(error, StreamFiltered):
            code = "invalid_prompt"
        failed = self._base | {
            "status": "failed",
            "error": {"code": code, "message": error.message},
            "output": self._output.items("incomplete"),
        }
        return written + self._events([{"type": "response.failed", "response": failed}])

    def _begin(self, model: str) -> bytes:
        if self._base is not None:
            return b""
        self._base = response_in_progress(self._request, model or self._request.model, int(self._clock()))
        return self._events(
            [{"type": kind, "response": self._base} for kind in ("response.created", "response.in_progress")]
        )

    def _events(self, events: list[Fields]) -> bytes:
        written = []
        for event in events:
            numbered = {"type": event["type"], "sequence_number": self._sequence} | event
            written.append(_encode(numbered))
            self._sequence += 1
        return b"".join(written)

    def _pass(self, raw: Event, event: Fields | None, model: str) -> bytes:
        """A native event's bytes, with the model's public name, and the id that the client went on from."""
        if event is None:
            return raw.raw
        number: Any = event.get("sequence_number")
        anew = type(number) is not int or number < self._sequence or raw.kind != str(event.get("type")).encode()
        if anew:
            number = self._sequence
            event = event | {"sequence_number": number}
        self._sequence = number + 1
        response = event.get("response")
        if not isinstance(response, dict):
            self._output.follow(event)
            return _encode(event) if anew else raw.raw
        right = self._right(response, str(event.get("type")))
        anew = anew or right is not response
        response = right
        named = response | {"model": model}
        if self._previous is not None:
            named["previous_response_id"] = self._previous
        if self._locus is not None:
            named["locus"] = self._locus
        data = None
        if not anew and self._previous is None and self._locus is None:
            data = replace_model_name(raw.raw, response["model"], model)
        if data is None:
            data = _encode(event | {"response": named})
        if event.get("type") not in LAST:
            self._base = {key: value for key, value in named.items() if key != "usage"}
            return data
        self.response, self._held = named, data
        return b""

    def _right(self, response: Fields, kind: str) -> Fields:
        """A native event's Response object as it must be: `response` itself, where that is right."""
        status = "in_progress" if kind == "response.created" else kind.removeprefix("response.")
        if self._base is not None and response.get("id") != self._base["id"]:
            response = response | {"id": self._base["id"]}
        if status in STATUSES and response.get("status") != status:
            response = response | {"status": status}
        if is_response(response):
            return response
        base = self._base or response_in_progress(self._request, self._request.model, int(self._clock()))
        return mended(response, base, self._output.items())


def _kind(event: Fields | None) -> Any:
    return event.get("type") if event is not None else None


def _json(event: Event) -> Fields | None:
    try:
        value = orjson.loads(event.data or b"")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _encode(event: Fields) -> bytes:
    try:
        data = orjson.dumps(event)
    except orjson.JSONEncodeError:  # a schema of the request that was as deep as can be, and is echoed one level deeper
        data = json.dumps(event).encode()
    return b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), data)
