"""The messages between the supervisor and its workers: one JSON object a line, over a socket pair."""

from typing import Literal, TypedDict

import orjson

from gateway.record.totals import TotalsDump


class Stop(TypedDict):
    """To a worker: stop gracefully, or at once."""

    kind: Literal["stop"]
    at_once: bool


class Reload(TypedDict):
    """To a worker: read the portfolio file."""

    kind: Literal["reload"]


class SendTotals(TypedDict):
    """To a worker: send your totals now."""

    kind: Literal["send_totals"]


class Others(TypedDict):
    """To a worker that has asked: the totals of each other worker, and the sum of those that have ended."""

    kind: Literal["others"]
    number: int
    living: list[TotalsDump]
    ended: TotalsDump


class Ready(TypedDict):
    """From a worker: it accepts requests."""

    kind: Literal["ready"]


class Reloaded(TypedDict):
    """From a worker: it has put the portfolio file with this fingerprint in force; None: the file is missing."""

    kind: Literal["reloaded"]
    file: tuple[int, int, int] | None


class OwnTotals(TypedDict):
    """From a worker: its totals."""

    kind: Literal["totals"]
    totals: TotalsDump


class AskOthers(TypedDict):
    """From a worker: it needs the totals of the others; the answer has the same number."""

    kind: Literal["ask_others"]
    number: int


ToWorker = Stop | Reload | SendTotals | Others
FromWorker = Ready | Reloaded | OwnTotals | AskOthers


def encode_message(message: ToWorker | FromWorker) -> bytes:
    """The message as one line."""
    return orjson.dumps(message) + b"\n"
