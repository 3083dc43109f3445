"""Chat chunks -> the Responses stream of one client, also when several models write parts of the response."""

from collections.abc import Callable

import orjson

from gateway.api.responses.answer_from_chat import (
    INCOMPLETE_REASONS,
    ChatEnding,
    finished_response,
    native_request,
    previous_response_id_of,
    response_in_progress,
    tool_names_of,
)
from gateway.api.responses.repair import is_valid_response, repaired_response
from gateway.api.responses.stream_output import StreamOutput
from gateway.api.responses.types import Event as ResponseEvent
from gateway.api.responses.types import Response
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.sse import Event, EventReader
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError, StreamFiltered
from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest

_STATUSES = frozenset({"in_progress", "completed", "incomplete"})
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete"})


class ResponsesWriter:
    """Passes a provider's own Responses events on until the first chunk of another kind; from then on it writes the events.

    Only `end` returns the last event, also of a provider's own stream, so that the response can be stored before the client sees
    its end.

    Attributes:
        response: the finished Response object; None until the last event was written, or is ready for `end`.
    """

    def __init__(self, request: ChatRequest, clock: Callable[[], float]) -> None:
        self.response: Response | None = None
        native = native_request(request)
        self._request = request
        self._clock = clock
        self._previous_id = previous_response_id_of(native)
        self._output = StreamOutput(tool_names_of(native))
        self._sequence = 0
        self._base: Response | None = None  # the Response object of the first event
        self._passing: bool | None = (
            None  # True while a provider's own events are passed on; None before the first event
        )
        self._last_event = b""  # of a provider's own stream, for `end`
        self._ended = False
        self._finish_reason: str | None = None
        self._service_tier: str | None = None
        self._locus: JsonObject | None = None

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        if chunk.api == "responses" and chunk.raw and self._passing is not False:
            events = EventReader().feed(chunk.raw)
            parsed = [(event, _parsed(event)) for event in events]
            is_start = any(event is not None and event.get("type") == "response.created" for _, event in parsed)
            if is_start == (self._passing is None):
                self._passing = True
                self._locus = fields.get("locus") or self._locus
                return b"".join([self._pass_event(event, value, model) for event, value in parsed])
        self._passing = False
        written = self._start(model)
        for choice in fields["choices"]:
            if choice.get("index"):
                continue
            written += self._encoded(self._output.add_delta(choice.get("delta") or {}, choice.get("logprobs")))
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        self._service_tier = fields.get("service_tier") or self._service_tier
        if "locus" in fields:
            self._locus = (self._locus or {}) | fields["locus"]
        return written

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        if self._last_event:
            return self._last_event
        incomplete = isinstance(self._finish_reason, str) and self._finish_reason in INCOMPLETE_REASONS
        written = self._start(model) + self._encoded(self._output.close("incomplete" if incomplete else "completed"))
        assert self._base is not None
        ending: ChatEnding = {
            "finish_reason": self._finish_reason,
            "usage": usage,
            "service_tier": self._service_tier,
        }
        response = finished_response(self._base, self._output.items(), ending, int(self._clock()), model)
        if self._locus is not None:
            response["locus"] = self._locus
        self.response = response
        kind = "response.incomplete" if incomplete else "response.completed"
        return written + self._encoded([{"type": kind, "response": response}])

    def error(self, error: GatewayError) -> bytes:
        """Return the event with the failed response. It contains the output so far."""
        if self._ended:
            return b""
        self._ended = True
        self.response = None
        written = self._start("")
        assert self._base is not None
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        if isinstance(error, StreamFiltered):
            code = "invalid_prompt"
        failed = self._base | {
            "status": "failed",
            "error": {"code": code, "message": error.message},
            "output": self._output.items("incomplete"),
        }
        return written + self._encoded([{"type": "response.failed", "response": failed}])

    def _start(self, model: str) -> bytes:
        if self._base is not None:
            return b""
        self._base = response_in_progress(self._request, model or self._request.model, int(self._clock()))
        return self._encoded(
            [{"type": kind, "response": self._base} for kind in ("response.created", "response.in_progress")]
        )

    def _encoded(self, events: list[ResponseEvent]) -> bytes:
        written = []
        for event in events:
            numbered = {"type": event["type"], "sequence_number": self._sequence} | event
            written.append(_encoded_event(numbered))
            self._sequence += 1
        return b"".join(written)

    def _pass_event(self, raw: Event, event: ResponseEvent | None, model: str) -> bytes:
        """Return a provider's event as bytes for the client, with the public model name and the client's `previous_response_id`."""
        if event is None:
            return raw.raw
        number: object = event.get("sequence_number")
        changed = raw.kind != str(event.get("type")).encode()
        if not isinstance(number, int) or isinstance(number, bool) or number < self._sequence or changed:
            changed = True
            number = self._sequence
            event = event | {"sequence_number": number}
        self._sequence = number + 1
        response = event.get("response")
        if not isinstance(response, dict):
            self._output.follow(event)
            return _encoded_event(event) if changed else raw.raw
        repaired = self._repaired(response, str(event.get("type")))
        changed = changed or repaired is not response
        response = repaired
        named = response | {"model": model}
        if self._previous_id is not None:
            named["previous_response_id"] = self._previous_id
        if self._locus is not None:
            named["locus"] = self._locus
        data = None
        if not changed and self._previous_id is None and self._locus is None:
            data = replace_model_name(raw.raw, response["model"], model)
        if data is None:
            data = _encoded_event(event | {"response": named})
        if event.get("type") not in _LAST_EVENTS:
            self._base = {key: value for key, value in named.items() if key != "usage"}
            return data
        self.response, self._last_event = named, data
        return b""

    def _repaired(self, response: Response, kind: str) -> Response:
        """Return the Response object of a provider's event, repaired if needed; `response` itself if it needs no change."""
        status = "in_progress" if kind == "response.created" else kind.removeprefix("response.")
        if self._base is not None and response.get("id") != self._base["id"]:
            response = response | {"id": self._base["id"]}
        if status in _STATUSES and response.get("status") != status:
            response = response | {"status": status}
        if is_valid_response(response):
            return response
        base = self._base or response_in_progress(self._request, self._request.model, int(self._clock()))
        return repaired_response(response, base, self._output.items())


def _parsed(event: Event) -> ResponseEvent | None:
    try:
        value = orjson.loads(event.data or b"")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _encoded_event(event: ResponseEvent) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), dumps(event))
