"""Checks values against the official OpenAPI document of the OpenAI API, where that lies beside the checkout."""

import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.conftest import SHARED

DOCUMENT = SHARED / "specs" / "openai-openapi.json"
ROOT = "urn:openai"


def validate(value: Any, component: str) -> None:
    """Fails where `value` is not what the component of that name allows; the message says where and why.

    Skips the test where the document is missing. Values must be plain JSON: dicts, lists, strings.
    """
    error = best_match(_validator(component).iter_errors(value))
    assert error is None, f"{component}: {error.json_path}: {error.message[:500]}"


def validate_event(event: dict[str, Any]) -> None:
    """The same for an event of a Responses stream, by its `type`."""
    names = _events()
    assert event.get("type") in names, f"unknown event {event.get('type')!r}"
    validate(event, names[event["type"]])


def present() -> None:
    """Skips the test where the document is missing."""
    if not DOCUMENT.is_file():
        pytest.skip(f"needs the official OpenAPI document in {DOCUMENT}")


@cache
def _schemas() -> dict[str, Any]:
    present()
    schemas = json.loads(DOCUMENT.read_bytes())["components"]["schemas"]
    return {name: _plain(schema, schemas) for name, schema in schemas.items()}


@cache
def _registry() -> Registry[Any]:
    document = {"components": {"schemas": _schemas()}}
    return Registry().with_resource(ROOT, Resource.from_contents(document, default_specification=DRAFT202012))


@cache
def _validator(component: str) -> jsonschema.Draft202012Validator:
    assert component in _schemas(), f"the document has no {component}"
    ref = {"$ref": f"{ROOT}#/components/schemas/{component}"}
    return jsonschema.Draft202012Validator(ref, registry=_registry())


@cache
def _events() -> dict[str, str]:
    schemas = _schemas()
    names = [name for name, schema in schemas.items() if name.endswith("Event") and "properties" in schema]
    ours = [name for name in names if name.startswith("Response")]
    return {value: name for name in ours for value in _values({"$ref": f"/{name}"}, "type", schemas)}


def _plain(schema: Any, schemas: dict[str, Any]) -> Any:
    """JSON Schema of the document's dialect: a discriminator leads on to its branches, `nullable` to null.

    Where the document says `oneOf`, its branches overlap more often than not, so one or more may match.
    """
    if isinstance(schema, list):
        return [_plain(inner, schemas) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(inner, schemas) for key, inner in schema.items() if key not in ("$recursiveRef", "default")}
    if "discriminator" in plain and not isinstance(plain["discriminator"].get("propertyName"), str):
        return plain  # a property that is called so
    if isinstance(plain.get("oneOf"), list):
        plain["anyOf"] = plain.pop("oneOf")
    if "discriminator" in plain and isinstance(plain.get("anyOf"), list):
        plain = _discriminated(plain, plain["discriminator"]["propertyName"], schemas)
    if plain.pop("nullable", None) is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def _discriminated(plain: dict[str, Any], key: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Each branch only for the values that it names, so that an error speaks of the branch that was meant."""
    branches: dict[str, list[Any]] = {}
    for branch in plain["anyOf"]:
        values = _values(branch, key, schemas)
        if not values:
            return plain
        for value in values:
            branches.setdefault(value, []).append(branch)
    rest = {name: inner for name, inner in plain.items() if name != "anyOf"}
    cases = [
        {"if": {"properties": {key: {"const": value}}}, "then": {"anyOf": those} if len(those) > 1 else those[0]}
        for value, those in branches.items()
    ]
    return rest | {"required": [key], "properties": {key: {"enum": list(branches)}}, "allOf": cases}


def _values(schema: Any, key: str, schemas: dict[str, Any]) -> list[str]:
    """The values of a discriminating property that a branch allows; none where it does not say."""
    if "$ref" in schema:
        return _values(schemas[schema["$ref"].rsplit("/", 1)[-1]], key, schemas)
    for inner in ("anyOf", "oneOf"):
        if inner in schema:
            found = [_values(branch, key, schemas) for branch in schema[inner]]
            return [value for values in found for value in values] if all(found) else []
    if "allOf" in schema:
        return next((values for branch in schema["allOf"] if (values := _values(branch, key, schemas))), [])
    prop = schema.get("properties", {}).get(key, {})
    values = prop.get("enum", [prop["const"]] if "const" in prop else [])
    return [value for value in values if isinstance(value, str)]
