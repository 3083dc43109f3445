"""Reads a complete answer of a direct call, in the format of the call."""

import codecs

from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.stream_to_completion import completion_of_stream
from gateway.bodies.lenient_json import dumps
from gateway.core.answer import Complete
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event
from gateway.upstream.formats import FORMATS
from gateway.upstream.response_body import check_cost, lenient_object

EVENT_LINES = (b"data:", b"event:", b":", b"id:", b"retry:")  # beginnings of the lines of an event stream


def read_complete(data: bytes, api: Api) -> Complete:
    """A complete answer in the form that its API requires.

    Raises:
        UpstreamFailure: the body is not an answer, or lacks what an answer must have.
    """
    fields, strict = read_answer_object(data, api)
    checked = normalize_completion(fields) if api == "chat" else FORMATS[api].check(fields)
    usage = Usage.read(checked.get("usage")) if api == "chat" else FORMATS[api].usage(checked)
    return Complete(data if strict and checked is fields else dumps(checked), checked, usage, api)


def read_answer_object(data: bytes, api: Api) -> tuple[JsonObject, bool]:
    """The JSON object of a complete answer, and True if its bytes may be passed on unchanged.

    Raises:
        UpstreamFailure: the body is not an answer, or is an error.
    """
    if api == "chat" and data.removeprefix(codecs.BOM_UTF8).lstrip().startswith(EVENT_LINES):
        check_cost(data)
        return completion_of_stream(data), False
    fields, strict = lenient_object(data)
    if fields is None:
        raise UpstreamFailure(Cause.UNREADABLE, detail="not a JSON object")
    if fields.get("error"):
        raise classify_event(fields["error"])
    return fields, strict
