"""The JSON schema that a chat request asks for."""

from gateway.core.json_types import JsonObject
from gateway.request.request import Request


def response_schema(request: Request) -> JsonObject | None:
    """The JSON schema that the answer must have, from `response_format`; None if the request has none."""
    form = request.fields.get("response_format")
    wanted = form.get("json_schema") if isinstance(form, dict) and form.get("type") == "json_schema" else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    return schema if isinstance(schema, dict) else None
