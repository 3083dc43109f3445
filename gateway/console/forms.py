"""The fields of a form that a page of the console sends."""

from urllib.parse import parse_qs

from starlette.requests import Request

from gateway.bodies.request_body import read_body
from gateway.core.client_limits import LIMITS
from gateway.core.errors import InvalidRequest
from gateway.http.body_timeout import BodyTimeout

MAX_FORM = 1 << 16  # bytes


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a body as `application/x-www-form-urlencoded` (WHATWG URL, 5); of several with one name, the last one.

    Raises:
        BodyTooLarge: it is larger than `MAX_FORM`.
        RequestTimeout: it does not arrive in time: the page to log in takes forms from clients without a key.
        InvalidRequest: it is no such form.
    """
    client = request.scope.get("state", {}).get("connection")
    receive = BodyTimeout(request.receive, LIMITS if client is None else client.limits)
    body = await read_body(receive, MAX_FORM, request.headers.get("content-encoding", "").encode())
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as exc:
        raise InvalidRequest("The body is no form.") from exc
    return {name: values[-1] for name, values in fields.items()}
