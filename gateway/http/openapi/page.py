"""The OpenAPI document as one HTML page that loads nothing else: no script, no font, no style sheet."""

import re
from functools import cache
from html import escape
from typing import Any

import orjson

from gateway.core.json_types import JsonObject
from gateway.http.openapi.document import document

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_METHODS = ("get", "post", "put", "delete", "head")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a7d5c; }
@media (prefers-color-scheme: dark) { :root { --accent: #4fd1a5; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, pre { font: 0.875em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; border-radius: .4rem; overflow-x: auto; white-space: pre-wrap; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: 0 .9rem; }
details details { margin: .5rem 0; } summary { cursor: pointer; padding: .6rem 0; }
.verb { display: inline-block; min-width: 4.2em; font-weight: 700; color: var(--accent); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
border-top: 1px solid var(--line); } .soft { opacity: .75; }
"""


def _schema(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


@cache
def document_page() -> str:
    """The page of the gateway's own document."""
    return page(document())


def page(document: JsonObject) -> str:
    """The page: each operation under its tag, with parameters, body, answers and a curl command."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])}</h1><p class=soft>{escape(info['version'])} · ",
        '<a href="/openapi.json">openapi.json</a></p>',
        _text(info.get("description", "")),
    ]
    for tag in document.get("tags", ()):
        parts.append(f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>{_text(tag.get("description", ""))}')
        for path, operations in document["paths"].items():
            for method in _METHODS:
                operation = operations.get(method)
                if operation is not None and tag["name"] in operation.get("tags", ()):
                    shared = operations.get("parameters", [])
                    parts.append(_operation(document, path, method, operation, shared))
    parts.append("<h2 id=schemas>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(_schema(name, orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()))
    return "".join([*parts, "</body></html>"])


def _operation(document: JsonObject, path: str, method: str, operation: JsonObject, shared: list[JsonObject]) -> str:
    rows = "".join(_parameter(_resolved(document, p)) for p in [*shared, *operation.get("parameters", [])])
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{_inline(_resolved(document, answer).get('description', ''))}</td></tr>"
        for status, answer in operation.get("responses", {}).items()
    )
    name = escape(operation.get("operationId", f"{method}-{path}"))
    return (
        f'<details id="{name}"><summary><span class=verb>{method.upper()}</span> <code>{escape(path)}</code> '
        f"<span class=soft>{_inline(operation.get('summary', ''))}</span></summary>"
        f"{_text(operation.get('description', ''))}<pre>{escape(_curl(document, path, method, operation))}</pre>"
        + (f"<h3>Parameters</h3><table>{rows}</table>" if rows else "")
        + _body(operation)
        + f"<h3>Answers</h3><table>{answers}</table></details>"
    )


def _parameter(parameter: JsonObject) -> str:
    where = f"{parameter.get('in', '')}{', required' if parameter.get('required') else ''}"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code><br><span class=soft>{escape(where)}</span></td>"
        f"<td>{_inline(parameter.get('description', ''))}</td></tr>"
    )


def _body(operation: JsonObject) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    schemas = [media["schema"] for media in content.values() if "schema" in media]
    if not schemas:
        return ""
    return "<h3>Body</h3>" + "".join(
        f"<p>See <code>{escape(s['$ref'].rpartition('/')[2])}</code> below.</p>"
        if "$ref" in s
        else f"<pre>{escape(orjson.dumps(s, option=orjson.OPT_INDENT_2).decode())}</pre>"
        for s in schemas
    )


def _curl(document: JsonObject, path: str, method: str, operation: JsonObject) -> str:
    lines = [f"curl http://127.0.0.1:4000{path}"]
    if method != "get":
        lines[0] += f" -X {method.upper()}"
    lines.append("-H 'authorization: Bearer <key>'")
    for media in operation.get("requestBody", {}).get("content", {}).values():
        example = media.get("example") or next(
            (_resolved(document, e).get("value") for e in media.get("examples", {}).values()), None
        )
        if example is not None:
            lines += ["-H 'content-type: application/json'", f"-d '{orjson.dumps(example).decode()}'"]
    return " \\\n  ".join(lines)


def _resolved(document: JsonObject, value: JsonObject) -> JsonObject:
    """The object that a reference refers to."""
    node: Any = value
    while "$ref" in node:
        reference, node = node["$ref"], document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
    return dict(node)


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """The text as HTML, with the two marks of Markdown that the document uses."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", marked)
