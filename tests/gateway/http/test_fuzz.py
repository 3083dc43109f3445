"""Whatever a client sends gets an answer or an error in OpenAI's shape, with a request id, and never a 500.

One gateway in a thread serves all examples over real HTTP; its provider is healthy, so that any 5xx is the gateway's own.
"""

import asyncio
import contextlib
import json
import os
import socket
import string
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.portfolio_file import load_portfolio
from tests.conftest import SHARED
from tests.gateway.running import entry, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer

SPEC = SHARED / "specs" / "openai-openapi.json"
PATHS = ("/v1/chat/completions", "/v1/route")

MORE = int(os.environ.get("FUZZ", "1"))


def fuzz(examples: int) -> settings:
    """The same examples each time, so that a suite that passed passes again; `FUZZ=20` tries 20 times as many new ones."""
    return settings(
        max_examples=examples * MORE,
        derandomize=MORE == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),  # that examples share the client is meant
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    url = ""
    ready = threading.Event()
    loop = uvloop.new_event_loop()  # as `locus serve`
    stop = asyncio.Event()

    async def serve() -> None:
        nonlocal url
        async with ScriptedProvider(answer("fine words")) as provider:
            models = [entry(name, provider.base_url) for name in ("llama-8b", "mistral-7b")]
            models[0]["capabilities"] = ["tools", "vision", "json_schema", "audio"]
            folder = tmp_path_factory.mktemp("fuzz")
            async with running(
                load_portfolio(write_portfolio(folder, models, gateway={"max_body_mb": 0.5}), {})
            ) as run:
                url = run.url
                ready.set()
                await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def check(response: httpx.Response) -> None:
    """An answer or an OpenAI-shaped error; always one request id."""
    assert response.status_code < 500, response.text
    assert len(response.headers.get_list("x-request-id")) == 1
    if response.request.method == "HEAD" or response.headers["content-type"].startswith("text/plain"):
        return
    if response.headers["content-type"].startswith("text/event-stream"):
        assert response.text.endswith("data: [DONE]\n\n")
        return
    body = response.json()
    if response.status_code == 200:
        assert "error" not in body
        return
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    assert isinstance(body["error"]["message"], str)
    assert isinstance(body["error"]["type"], str)
    assert isinstance(body["error"]["param"], str | None)
    assert isinstance(body["error"]["code"], str | None)


class Raw(str):
    """JSON text that no encoder would write."""


class Pairs(list[Any]):
    """An object as its key-value pairs, so that keys may repeat."""


def encode(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs | dict):
        pairs = value.items() if isinstance(value, dict) else value
        return "{" + ", ".join(f"{json.dumps(key)}: {encode(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encode, value)) + "]"
    return json.dumps(value)


TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)  # with lone surrogates
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**31, 2**53, 2**63, 2**64, 10**40, -(10**40)]),
        st.floats(),
        st.sampled_from(
            [
                Raw("1e400"),
                Raw("-0"),
                Raw("01"),
                Raw("1."),
                Raw("'x'"),
                Raw('"\\ud800"'),
                Raw('"\\udc00\\ud800"'),
                Raw('"\\u0000"'),
            ]
        ),
        st.integers(1, 1500).map(lambda n: Raw("[" * n + "]" * n)),
        st.integers(1, 600).map(lambda n: Raw('{"a":' * n + "1" + "}" * n)),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)

PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": TEXT})}),
    st.fixed_dictionaries({"type": st.just("input_audio"), "input_audio": JUNK}),
    st.fixed_dictionaries({"type": TEXT, "text": JUNK}),
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer"])},
        optional={"content": st.one_of(TEXT, st.none(), st.lists(PARTS, max_size=3)), "name": TEXT, "tool_calls": JUNK},
    ),
    min_size=1,
    max_size=4,
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "parameters": JUNK})}
    ),
    max_size=2,
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.sampled_from(["auto", "auto:best", "auto:cheap", "llama-8b", "mistral-7b"]), "messages": MESSAGES},
    optional={
        "stream": st.booleans(),
        "stream_options": st.one_of(
            st.none(), st.dictionaries(st.sampled_from(["include_usage", "x"]), JUNK, max_size=2)
        ),
        "n": st.one_of(st.just(1), JUNK),
        "stop": JUNK,
        "max_tokens": st.one_of(st.integers(1, 5000), JUNK),
        "max_completion_tokens": st.one_of(st.integers(1, 5000), JUNK),
        "temperature": JUNK,
        "tools": TOOLS,
        "functions": JUNK,
        "tool_choice": JUNK,
        "response_format": st.one_of(
            JUNK, st.fixed_dictionaries({"type": st.just("json_schema"), "json_schema": JUNK})
        ),
        "metadata": JUNK,
        "user": JUNK,
        "extra": JUNK,
    },
)


@st.composite
def mutated(draw: st.DrawFn, requests: st.SearchStrategy[dict[str, Any]]) -> Any:
    """A request with one place, at any depth, replaced, removed or doubled."""
    request = draw(requests)
    holder: Any = request
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return request
        key = draw(st.sampled_from(keys))
        if not isinstance(holder[key], dict | list) or draw(st.booleans()):
            break
        holder = holder[key]
    match draw(st.sampled_from(["keep", "replace", "remove", "double"])):
        case "replace":
            holder[key] = draw(JUNK)
        case "remove":
            del holder[key]
        case "double" if holder is request:
            return Pairs([*request.items(), (key, draw(JUNK))])
    return request


@fuzz(250)
@given(path=st.sampled_from(PATHS), request=mutated(REQUESTS))
def test_requests_that_are_nearly_right(client: httpx.Client, path: str, request: Any) -> None:
    check(client.post(path, content=encode(request), headers={"content-type": "application/json"}))


def of_schema(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values by an OpenAPI schema, as far as a fuzzer needs it."""
    if "$ref" in schema:
        return of_schema(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth)
    if depth > 6:
        return st.none()
    if schema.get("nullable"):
        return st.none() | of_schema(schema | {"nullable": False}, schemas, depth)
    if isinstance(types := schema.get("type"), list):
        return st.one_of([of_schema(schema | {"type": kind}, schemas, depth) for kind in types])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if options := schema.get("oneOf") or schema.get("anyOf"):
        return st.one_of([of_schema(option, schemas, depth) for option in options])
    if "allOf" in schema:
        parts = [of_schema(part, schemas, depth) for part in schema["allOf"]]
        return st.tuples(*parts).map(
            lambda values: {k: v for value in values if isinstance(value, dict) for k, v in value.items()}
        )
    match schema.get("type"):
        case "object":
            fields = {
                name: st.deferred(lambda inner=inner: of_schema(inner, schemas, depth + 1))
                for name, inner in schema.get("properties", {}).items()
            }
            required = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
            # Objects have dozens of optional fields; a few at a time find more than all at once.
            some = st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True) if fields else st.just([])
            return some.flatmap(lambda names: st.fixed_dictionaries(required | {name: fields[name] for name in names}))
        case "array":
            items = st.deferred(lambda: of_schema(schema.get("items", {}), schemas, depth + 1))
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=max(2, schema.get("minItems", 0)))
        case "string":
            return TEXT
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
    return JUNK


def test_requests_by_the_published_schema(client: httpx.Client) -> None:
    if not SPEC.is_file():
        pytest.skip(f"needs the OpenAI API description in {SPEC}")
    schemas = json.loads(SPEC.read_text())["components"]["schemas"]
    models = st.sampled_from(["auto", "llama-8b", "mistral-7b"])
    by_schema = of_schema(schemas["CreateChatCompletionRequest"], schemas)
    requests = st.tuples(by_schema, models).map(lambda drawn: drawn[0] | {"model": drawn[1]})

    @fuzz(150)
    @given(path=st.sampled_from(PATHS), request=mutated(requests))
    def run(path: str, request: Any) -> None:
        check(client.post(path, content=encode(request)))

    run()


PLAIN = json.dumps(
    {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2? é€😀"}]}, ensure_ascii=False
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.just(b""),
    st.just(b" \n"),
    st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"]).map(
        lambda codec: PLAIN.encode(codec, "replace")
    ),
    st.integers(0, len(PLAIN)).map(lambda end: PLAIN.encode()[:end]),
    st.tuples(st.integers(0, len(PLAIN)), st.binary(min_size=1, max_size=3)).map(
        lambda cut: PLAIN.encode()[: cut[0]] + cut[1] + PLAIN.encode()[cut[0] :]
    ),
    st.integers(1, 5000).map(lambda n: b"[" * n),
    st.integers(1, 3000).map(lambda n: b'{"model":' * n),
    st.integers(500_000, 700_000).map(lambda n: b'{"model": "auto", "messages": "' + b"x" * n),
    JUNK.map(lambda value: encode(value).encode()),
)
TYPES = st.sampled_from(
    [None, "", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "x", "a/b;" * 50]
)


@fuzz(200)
@given(path=st.sampled_from(PATHS), body=BODIES, content_type=TYPES)
def test_bodies_that_are_no_requests(client: httpx.Client, path: str, body: bytes, content_type: str | None) -> None:
    check(client.post(path, content=body, headers={} if content_type is None else {"content-type": content_type}))


TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20)
VALUE = st.binary(max_size=60).map(lambda value: bytes(b for b in value if b >= 0x20 and b != 0x7F).strip())
OWNED = (
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "expect",
)  # what frames the request itself
FORWARDED = (b"forwarded", b"via", b"x-real-ip", b"x-client-ip")
KNOWN = (
    "x-request-id",
    "authorization",
    "accept",
    "accept-encoding",
    "x-api-key",
    "x-forwarded-for",
    "cookie",
    "range",
)
HEADERS = st.lists(st.tuples(TOKEN | st.sampled_from(KNOWN), VALUE), max_size=6).map(
    lambda pairs: [(name.encode(), value) for name, value in pairs if name.lower() not in OWNED]
)


@fuzz(150)
@given(path=st.sampled_from(PATHS), headers=HEADERS)
def test_headers(client: httpx.Client, path: str, headers: list[tuple[bytes, bytes]]) -> None:
    response = client.post(path, content=PLAIN.encode(), headers=[(b"content-type", b"application/json"), *headers])
    check(response)
    forwarded = any(name.lower().startswith(b"x-forwarded") or name.lower() in FORWARDED for name, _ in headers)
    assert response.status_code == (403 if forwarded else 200)  # without keys a proxy's requests are refused


METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
URL = st.one_of(
    st.sampled_from(
        [*PATHS, "/v1/models", "/models", "/health/live", "/health/ready", "/metrics", "/", "//", "/v1", "/v1/"]
    ),
    st.text(string.printable, max_size=40).map(lambda text: "/v1/models/" + text.replace("#", "").replace("?", "")),
    st.binary(max_size=30).map(lambda raw: "/" + "".join(f"%{byte:02x}" for byte in raw)),
    st.text(string.ascii_letters + "/.;:@&=+,!~*'()%?-_", max_size=40).map(lambda text: "/" + text.lstrip("/")),
)


@fuzz(200)
@given(method=METHODS, url=URL, body=st.sampled_from([b"", b"{}", PLAIN.encode()]))
def test_methods_and_paths(client: httpx.Client, method: str, url: str, body: bytes) -> None:
    try:
        request = client.build_request(method, str(client.base_url).rstrip("/") + url, content=body)
    except httpx.InvalidURL:
        return
    if request.url.host == client.base_url.host:
        response = client.send(request)
        if response.status_code != 204:  # what OPTIONS is answered
            check(response)


LINES = st.sampled_from(
    [
        b"content-length: 5",
        b"content-length: -1",
        b"content-length: 99999999999999999999",
        b"content-length: 0x5",
        b"content-length:5, 5",
        b"transfer-encoding: chunked",
        b"transfer-encoding: gzip, chunked",
        b"transfer-encoding:\x0bchunked",
        b"upgrade: websocket",
        b"connection: upgrade, HTTP2-Settings",
        b"expect: 100-continue",
        b"no colon",
        b" folded",
        b": no name",
        b"na me: x",
        b"x: \x00",
        b"x: \xff\xfe",
        b"x" * 70_000 + b": y",
        b"x: " + b"y" * 70_000,
    ]
)
STARTS = st.sampled_from(
    [
        b"POST /v1/route HTTP/1.1",
        b"POST /v1/route HTTP/1.0",
        b"POST /v1/route HTTP/2.0",
        b"POST http://elsewhere.invalid/v1/route HTTP/1.1",
        b"CONNECT elsewhere.invalid:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"OPTIONS * HTTP/1.1",
        b"GET /v1/models/%00%ff HTTP/1.1",
        b"GET \xff HTTP/1.1",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET  HTTP/1.1",
        b"get / http/1.1",
        b"GARBAGE",
    ]
)


@fuzz(80)
@given(
    start=STARTS | st.binary(min_size=1, max_size=20),
    lines=st.lists(LINES, max_size=3),
    end=st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
    body=st.sampled_from([b"", b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"zz\r\n\r\n", PLAIN.encode()]),
)
def test_bytes_that_are_no_http(
    client: httpx.Client, start: bytes, lines: list[bytes], end: bytes, body: bytes
) -> None:
    """Either an answer with a request id, or none at all; and the gateway goes on serving."""
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80)) as raw:
        raw.settimeout(0.1)  # a request may be incomplete; then nothing comes
        received = b""
        with contextlib.suppress(OSError):
            raw.sendall(end.join([start, b"host: x", b"connection: close", *lines, b"", body]))
            while part := raw.recv(1 << 16):
                received += part
    if received:
        head = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")[0].lower()
        assert head == b"" or (head.startswith(b"http/1.1 ") and int(head[9:12]) < 500), received
        assert head == b"" or b"\r\nx-request-id: " in head, received
    assert client.get("/health/live").status_code == 200
