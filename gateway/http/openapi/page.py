"""The OpenAPI document as one HTML page that loads nothing else: no script, no font, no style sheet."""

import re
from functools import lru_cache
from html import escape

import orjson

from gateway.core.json_types import JsonObject
from gateway.http.openapi.document import METHODS, document, resolved

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a7d5c; }
@media (prefers-color-scheme: dark) { :root { --accent: #4fd1a5; } }
html { background: Canvas; color: CanvasText; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, pre { font: 0.875em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; border-radius: .4rem; overflow-x: auto; white-space: pre-wrap; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: 0 .9rem; }
details details { margin: .5rem 0; } summary { cursor: pointer; padding: .6rem 0; }
.verb { display: inline-block; min-width: 4.2em; font-weight: 700; color: var(--accent); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
border-top: 1px solid var(--line); } .soft { opacity: .75; }
td:first-child, td:first-child code { white-space: nowrap; } td:last-child { width: 100%; }
td ul, nav ul { margin: 0; padding-left: 1.1rem; } nav ul { columns: 20rem; list-style: none; padding: 0; }
h3 { font-size: 1em; margin: 1.2rem 0 .3rem; } a { color: var(--accent); }
@media (max-width: 34rem) { td { display: block; } td:last-child { border-top: 0; padding-top: 0; } }
"""
_REFERENCE = re.compile(r'"(#/components/schemas/)(\w+)"')
_EXAMPLE = "Why is the sky blue?"


@lru_cache(maxsize=16)  # clients choose the address
def document_page(address: str, *, keys: bool) -> str:
    """The page of the gateway's own document.

    Args:
        address: under which the client reached the gateway, such as `http://127.0.0.1:4000`.
        keys: the gateway wants a key.
    """
    return page(document(), address, keys=keys)


def page(document: JsonObject, address: str, *, keys: bool) -> str:
    """The page: contents, first requests, each operation under its tag, and the schemas that they refer to.

    Args:
        address, keys: as for `document_page`.
    """
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])}</h1><p><span class=soft>{escape(info['version'])} · </span>",
        '<a href="/openapi.json">openapi.json</a> · <a href="/ui">console</a></p>',
        _contents(document),
        _text(info.get("description", "")),
        _first_requests(address, keys=keys),
    ]
    for tag in document.get("tags", ()):
        parts.append(f'<h2 id="{_slug(tag["name"])}">{escape(tag["name"])}</h2>{_text(tag.get("description", ""))}')
        for path, operations in document["paths"].items():
            for method in METHODS:
                operation = operations.get(method)
                if operation is not None and tag["name"] in operation.get("tags", ()):
                    shared = operations.get("parameters", [])
                    curl = _curl(document, address, path, method, operation, keys=keys)
                    parts.append(_operation(document, path, method, operation, shared, curl))
    parts.append("<h2 id=schemas>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<details id="schema-{escape(name)}"><summary>{escape(name)}</summary>{_json(schema)}</details>')
    return "".join([*parts, "</body></html>"])


def _contents(document: JsonObject) -> str:
    """Links to all operations, by tag."""
    parts = []
    for tag in document.get("tags", ()):
        items = [
            f'<li><a href="#{escape(_name(path, method, operations[method]))}">{method.upper()} {escape(path)}</a></li>'
            for path, operations in document["paths"].items()
            for method in METHODS
            if tag["name"] in operations.get(method, {}).get("tags", ())
        ]
        parts.append(f'<h3><a href="#{_slug(tag["name"])}">{escape(tag["name"])}</a></h3><ul>{"".join(items)}</ul>')
    return f'<nav>{"".join(parts)}<h3><a href="#schemas">Schemas</a></h3></nav>'


def _first_requests(address: str, *, keys: bool) -> str:
    """The same request by curl, in Python and in JavaScript."""
    body = f'{{"model": "auto", "messages": [{{"role": "user", "content": "{_EXAMPLE}"}}]}}'
    header = ' \\\n  -H "authorization: Bearer $LOCUS_KEY"' if keys else ""
    python_key, script_key = ('os.environ["LOCUS_KEY"]', "process.env.LOCUS_KEY") if keys else ('"none"', '"none"')
    curl = f"curl {address}/v1/chat/completions -H 'content-type: application/json'{header} \\\n  -d '{body}'"
    python = (
        f"{'import os' + chr(10) if keys else ''}from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{address}/v1", api_key={python_key})\n'
        f'answer = client.chat.completions.create(model="auto", messages=[{{"role": "user", "content": "{_EXAMPLE}"}}])\n'
        "print(answer.choices[0].message.content)"
    )
    script = (
        'import OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{address}/v1", apiKey: {script_key} }});\n'
        "const answer = await client.chat.completions.create({\n"
        f'  model: "auto", messages: [{{ role: "user", content: "{_EXAMPLE}" }}],\n}});\n'
        "console.log(answer.choices[0].message.content);"
    )
    shown = (("curl", curl), ("Python", python), ("JavaScript", script))
    return "<h2 id=first>A first request</h2>" + "".join(
        f"<h3>{name}</h3><pre>{escape(text)}</pre>" for name, text in shown
    )


def _slug(tag: str) -> str:
    """The anchor of a tag."""
    return re.sub(r"\W+", "-", tag.lower())


def _name(path: str, method: str, operation: JsonObject) -> str:
    """The anchor of an operation."""
    name: str = operation.get("operationId", f"{method}-{path}")
    return name


def _operation(
    document: JsonObject, path: str, method: str, operation: JsonObject, shared: list[JsonObject], curl: str
) -> str:
    rows = "".join(_parameter(resolved(document, p)) for p in [*shared, *operation.get("parameters", [])])
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{_answer(resolved(document, answer))}</td></tr>"
        for status, answer in operation.get("responses", {}).items()
    )
    name = escape(_name(path, method, operation))
    return (
        f'<details id="{name}"><summary><span class=verb>{method.upper()}</span> <code>{escape(path)}</code> '
        f"<span class=soft>{_inline(operation.get('summary', ''))}</span></summary>"
        f"{_text(operation.get('description', ''))}<pre>{escape(curl)}</pre>"
        f'<p><a href="/ui/try/{name}">Try it in the console</a></p>'
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
    return "<h3>Body</h3>" + "".join(f"<p>{_link(s['$ref'])}</p>" if "$ref" in s else _json(s) for s in schemas)


def _answer(answer: JsonObject) -> str:
    """What an answer means, and the schemas of its body."""
    text = answer.get("description", "")
    rows = [line.removeprefix("- ") for line in text.split("\n")]
    listed = text.startswith("- ")
    meaning = "<ul>" + "".join(f"<li>{_inline(row)}</li>" for row in rows) + "</ul>" if listed else _inline(text)
    schemas = [
        media["schema"]["$ref"] for media in answer.get("content", {}).values() if "$ref" in media.get("schema", {})
    ]
    return meaning + "".join(f" {_link(schema)}" for schema in dict.fromkeys(schemas) if not listed)


def _link(reference: str) -> str:
    name = escape(reference.rpartition("/")[2])
    return f'<a href="#schema-{name}"><code>{name}</code></a>'


def _json(value: JsonObject) -> str:
    """A schema, in which each reference to another one is a link."""
    text = escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), quote=False)
    linked = _REFERENCE.sub(lambda match: f'"<a href="#schema-{match[2]}">{match[1]}{match[2]}</a>"', text)
    return f"<pre>{linked}</pre>"


def _curl(document: JsonObject, address: str, path: str, method: str, operation: JsonObject, *, keys: bool) -> str:
    lines = [f"curl {address}{path}"]
    if method != "get":
        lines[0] += f" -X {method.upper()}"
    if keys:
        lines.append('-H "authorization: Bearer $LOCUS_KEY"')
    for media in operation.get("requestBody", {}).get("content", {}).values():
        example = media.get("example") or next(
            (resolved(document, e).get("value") for e in media.get("examples", {}).values()), None
        )
        if example is not None:
            lines += ["-H 'content-type: application/json'", f"-d '{orjson.dumps(example).decode()}'"]
    return " \\\n  ".join(lines)


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """The text as HTML, with the two marks of Markdown that the document uses."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", marked)
