"""A finished request, as the recorder gets it."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.record.predictions import Predictions
from gateway.record.request_record import Part, Record


class Finished(NamedTuple):
    """A finished request.

    Attributes:
        parts: the calls that were billed.
        predictions: what the decision knew; None if the client named the model.
        lease: under which the limits of its key hold what it spent; None if nothing limits it.
        body: that the client sent; None if it is not to be stored.
    """

    record: Record
    parts: Sequence[Part] = ()
    predictions: Predictions | None = None
    lease: str | None = None
    body: bytes | None = None
