"""One request of the record, as its page shows it: reads what there is, for a visitor who may see it."""

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from starlette.requests import Request

from gateway.console.candidates import Line, lines
from gateway.console.stored_request import StoredRequest, find_named, what_is_left
from gateway.console.visitor import Visitor
from gateway.console.waterfall import Waterfall, waterfall
from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.feedback.outcome import GRADER, IMPORT, WITHOUT_KEY
from gateway.http.service import Service
from gateway.replay.decider import predict_packed
from gateway.store.transactions import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.record.bodies import StoredBody
    from gateway.record.one_request import KnownModel

MOST_TEXT = 20_000  # characters of a stored prompt on the page
# Of the operations of the API description that a stored request can be sent to again.
PATHS = {
    "createChatCompletion": "/v1/chat/completions",
    "createMessage": "/v1/messages",
    "createResponse": "/v1/responses",
    "createCompletion": "/v1/completions",
    "createEmbeddings": "/v1/embeddings",
}


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request.

    Attributes:
        row: its columns in the record.
        candidates: the models that the decision compared; none if the client named the model.
        messages: the stored prompt as pairs of role and text; none if it was not stored.
        command: a curl command that sends it again, without a key; None if its prompt was not stored.
        outcomes: what was said of its answer.
    """

    row: dict[str, Any]
    calls: Waterfall
    candidates: Sequence[Line]
    messages: Sequence[tuple[str, str]]
    command: str | None
    outcomes: Sequence[dict[str, Any]]


async def view_of(service: Service, request: Request) -> RequestView:
    """The request that the path names; with `?row=`, the one in this row.

    Raises:
        NotFound: there is no such request, or the visitor may not see it.
        StoreUnavailable: the database cannot be used.
    """
    visitor: Visitor = request.state.visitor
    columns = await find_named(service, request, request.path_params["request_id"])
    assert service.database is not None
    async with reading(service.database, "the record") as connection:
        known, outcomes, body = await connection.run_sync(_read, columns)
    stored = await asyncio.to_thread(what_is_left, columns, body)
    errors = await asyncio.to_thread(_standard_errors, service, columns)
    states = {one["model"]: one["state"] for one in columns["candidates"] or () if "state" in one}
    candidates = lines(known, errors, states, columns["chosen"], columns["served"])
    names = {visitor.grant.identity.id: "you"} | {columns["key_id"]: columns["key_name"] or "the client"}
    said = [one | {"who": _who(one["source"], names)} for one in outcomes]
    command = _command(stored, str(request.base_url).rstrip("/"))
    return RequestView(columns, waterfall(columns), candidates, messages_of(columns["prompt"]), command, said)


def _read(
    connection: "Connection", row: dict[str, Any]
) -> tuple[list["KnownModel"], list[dict[str, Any]], "StoredBody | None"]:
    from gateway.record.bodies import stored_body
    from gateway.record.one_request import known_models, outcomes_of_request

    body = stored_body(connection, row["request_id"], row["time"], row["key_id"])
    return known_models(connection, row), outcomes_of_request(connection, row), body


def _standard_errors(service: Service, row: dict[str, Any]) -> dict[str, float]:
    """The standard error of P(correct) by model, as the embeddings in force now give it; empty if another checkpoint decided."""
    in_force = service.in_force
    checkpoint = in_force.router.checkpoint[:CHECKPOINT_CHARS]
    if row["encoding"] is None or row["surface"] is None or row["checkpoint"] != checkpoint:
        return {}
    packed = bytes(row["encoding"]), bytes(row["surface"])
    setting = (row["needs"] or {}).get("reasoning")
    errors = predict_packed(in_force.routing.tables, [packed], [setting]).standard_error[0]
    return {
        name: float(error) for name, error in zip(in_force.routing.names, errors, strict=True) if not np.isnan(error)
    }


def messages_of(prompt: Any) -> list[tuple[str, str]]:
    """Role and text of each message of a stored prompt, or the inputs of a request for embeddings. Images are named only."""
    if prompt is None:
        return []
    if not isinstance(prompt, list) or not all(isinstance(one, dict) and "role" in one for one in prompt):
        return [("input", _cut(prompt if isinstance(prompt, str) else _json(prompt)))]
    return [(str(one["role"]), _cut(_text(one))) for one in prompt]


def _text(message: dict[str, Any]) -> str:
    content, rest = message.get("content"), {name: message[name] for name in message if name not in ("role", "content")}
    parts = content if isinstance(content, list) else [] if content is None else [content]
    texts = [_part(one) for one in parts]
    return "\n".join([*texts, *([_json(rest)] if rest else [])])


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, dict) else None
    return (
        f"[{kind}]" if isinstance(kind, str) and kind.endswith(("image", "image_url", "audio", "file")) else _json(part)
    )


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text):,} characters)"


def _command(stored: StoredRequest, address: str) -> str | None:
    """Sends the body again, or what was stored of it; None if nothing was, or too much for a page."""
    path = PATHS.get(stored.operation)
    if path is None or stored.body is None or len(stored.body) > MOST_TEXT:
        return None
    return (
        f'curl {shlex.quote(address + path)} \\\n  -H "authorization: Bearer $LOCUS_API_KEY" \\\n'
        f"  -H 'content-type: application/json' \\\n  -d {shlex.quote(stored.body.decode('utf-8', 'replace'))}"
    )


def _who(source: str, names: dict[str | None, str]) -> str:
    """Who said something of an answer, for people."""
    if source in names:
        return names[source]
    if source.startswith(GRADER):
        return f"grader {source.removeprefix(GRADER)}"
    if source.startswith(IMPORT):
        return f"imported from {source.removeprefix(IMPORT)}"
    return "a client without a key" if source == WITHOUT_KEY else source
