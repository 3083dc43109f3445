"""The request that one call sends."""

from dataclasses import dataclass

from gateway.answering.splice import Way
from gateway.answering.transcript import Transcript
from gateway.request.request import Request


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A request to a deployment: the client's request, or a request for the rest of an answer that another model began.

    Attributes:
        transcript: the part of the answer that the client has; None for the client's own request.
        way: how the rest is asked for; see `gateway.answering.continuation`.
    """

    request: Request
    transcript: Transcript | None = None
    way: Way = "fresh"
