"""What the operator's routes have in common: how they answer, and the times that they are asked for."""

from datetime import UTC

import orjson
from starlette.responses import Response

from gateway.core.durations import time_of
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject


def admin_answer(value: JsonObject, status: int = 200) -> Response:
    """JSON that nothing on the way to the operator keeps."""
    return Response(orjson.dumps(value), status, {"cache-control": "no-store"}, media_type="application/json")


def asked_time(name: str, text: str, now: float) -> float:
    """The time that a field names, in seconds since the epoch.

    Args:
        name: of the field.
        now: seconds since the epoch, from which durations count back.

    Raises:
        InvalidRequest: the text is no time.
    """
    at = time_of(text, now, UTC)
    if at is None:
        raise InvalidRequest(f"`{name}` must be a date such as 2026-11-01, or a duration such as 7d.", param=name)
    return at
