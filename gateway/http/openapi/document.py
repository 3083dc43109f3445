"""The gateway's own OpenAPI 3.1 document, made from the YAML files beside this module and the error classes.

Status, type and code of each error are read from its class, so they cannot differ from the code; an operation in the YAML files
names only the kinds of errors that it has.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from gateway import __version__
from gateway.api.messages.errors import error_object
from gateway.core import errors
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject

FOLDER = Path(__file__).parent
JSON_TYPE = "application/json"
METHODS = ("get", "post", "put", "patch", "delete", "head")
KINDS = ("every", "body", "call")  # of operations; each kind includes the errors of those before it
# The status of these errors belongs to the instance, since it is the provider's or depends on the cause.
STATUSES: dict[type[GatewayError], tuple[str, ...]] = {
    errors.UpstreamsFailed: ("429", "502", "503", "504"),
    errors.ProviderRejected: ("4XX",),
}
_CODE = re.compile(r"\{code:(\w+)\}")
_REF = "#/components/{}/{}".format

Node = JsonObject


@cache
def document() -> Node:
    """The complete document. Do not change it, since all callers share it."""
    shared, paths, schemas = (_read(name) for name in ("shared", "paths", "schemas"))
    parameters = {
        name: {"in": "header", "required": False} | parameter for name, parameter in shared["parameters"].items()
    }
    routing = [{"$ref": _REF("parameters", name)} for name in parameters]
    parameters |= shared["formatParameters"]
    error_answers = _ErrorAnswers(shared["errors"])
    for path in paths.values():
        for method, operation in path.items():
            if method != "parameters":
                _complete(operation, routing, shared["headers"], error_answers)
    return {
        "openapi": "3.1.1",
        "info": {"version": __version__} | shared["info"],
        "servers": [{"url": "/"}],
        "security": [{"gatewayKey": []}, {"gatewayKeyHeader": []}, {}],
        "tags": shared["tags"],
        "paths": paths,
        "components": {
            "schemas": {name: _opened(schema) for name, schema in schemas.items()},
            "parameters": parameters,
            "headers": shared["headers"] | shared["retryHeaders"],
            "responses": error_answers.components,
            "securitySchemes": shared["securitySchemes"],
        },
    }


@cache
def document_json() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2)


def error_classes() -> dict[str, type[GatewayError]]:
    """All errors of the API by name; those of the console's pages are defined elsewhere."""
    classes: dict[str, type[GatewayError]] = {}
    rest = list(GatewayError.__subclasses__())
    while rest:
        one = rest.pop(0)
        if one.__module__ == errors.__name__:
            classes[one.__name__] = one
        rest += one.__subclasses__()
    return classes


def resolved(document: Node, value: Node) -> Node:
    """The object of the document that a reference refers to; the value itself if it is none."""
    node: Any = value
    while "$ref" in node:
        reference, node = node["$ref"], document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
    return dict(node)


class _ErrorAnswers:
    """The error answers that operations refer to: one for each format, status and set of error classes.

    Args:
        errors: class name -> `of`, the kind of operation that can return it, and `when`, its reason.
    """

    def __init__(self, errors: Node) -> None:
        self.components: Node = {}
        self._errors = errors
        self._classes = error_classes()

    def of(self, kind: str, also: list[str], shape: str) -> Node:
        """Status -> reference to the answer, for an operation."""
        kinds = KINDS[: KINDS.index(kind) + 1] if kind in KINDS else ()
        by_status: dict[str, list[str]] = {}
        for name, class_ in self._classes.items():
            if self._errors[name]["of"] in kinds or name in also:
                for status in STATUSES.get(class_, (str(class_.status),)):
                    by_status.setdefault(status, []).append(name)
        return {status: {"$ref": self._answer(status, names, shape)} for status, names in sorted(by_status.items())}

    def _answer(self, status: str, names: list[str], shape: str) -> str:
        described = self._describe(status, names, shape)
        prefix = "MessagesError" if shape == "messages" else "Error"
        number = 1
        while (
            self.components.get(key := f"{prefix}{status}{'' if number == 1 else f'-{number}'}", described) != described
        ):
            number += 1
        self.components[key] = described
        return _REF("responses", key)

    def _describe(self, status: str, names: list[str], shape: str) -> Node:
        headers = ["x-request-id"]
        if status in ("429", "503"):
            headers.append("retry-after")
        if "UpstreamsFailed" in names:
            headers.append("x-should-retry")
        examples: Node = {}
        rows = []
        for name in names:
            class_ = self._classes[name]
            when = self._errors[name]["when"]
            body = _example(class_, status, when, shape)
            code = _code(class_)
            examples.setdefault(code, {"summary": when, "value": body})
            rows.append(f"- `{body['error']['type'] if shape == 'messages' else code}`: {when}")
        schema = "MessagesError" if shape == "messages" else "Error"
        return {
            "description": "\n".join(rows),
            "headers": {name: {"$ref": _REF("headers", name)} for name in headers},
            "content": {JSON_TYPE: {"schema": {"$ref": _REF("schemas", schema)}, "examples": examples}},
        }


def _example(class_: type[GatewayError], status: str, message: str, shape: str) -> Node:
    shown = GatewayError(message)
    shown.status = 400 if status == "4XX" else int(status)
    if shape == "messages":
        return error_object(shown) | {"request_id": "req_0123"}
    return {"error": {"message": message, "type": class_.type, "param": None, "code": _code(class_)}}


def _code(class_: type[GatewayError]) -> str:
    """The code of an error; where it is the provider's own, the one without it."""
    return "provider_rejected" if class_ is errors.ProviderRejected else str(class_.code)


def _complete(operation: Node, routing: list[Node], headers: Node, error_answers: _ErrorAnswers) -> None:
    """Replaces the `x-…` keys of an operation by the parameters, headers and error answers that they stand for."""
    steered = operation.pop("x-steered", False)
    kind, also, shape = (operation.pop(f"x-{key}", None) for key in ("errors", "also", "shape"))
    parameters = operation.setdefault("parameters", [])
    parameters.append({"$ref": _REF("parameters", "RequestId")})
    parameters += routing if steered else []
    answers = operation["responses"]
    for answer in answers.values():
        shown = headers if steered is True else ["x-request-id"]
        answer["headers"] = answer.get("headers", {}) | {name: {"$ref": _REF("headers", name)} for name in shown}
    answers |= error_answers.of(kind, also or [], shape or "openai")


def _opened(schema: object) -> object:
    """The schema with `additionalProperties: true` for each object that does not set it."""
    if isinstance(schema, list):
        return [_opened(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    opened = {key: _opened(inner) for key, inner in schema.items()}
    kinds = schema.get("type")
    if "object" in (kinds if isinstance(kinds, list) else [kinds]):
        opened.setdefault("additionalProperties", True)
    return opened


def _read(name: str) -> Node:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    classes = error_classes()
    text = _CODE.sub(lambda match: classes[match.group(1)].code or "", text)
    value: Node = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return value
