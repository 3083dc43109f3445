"""The other APIs by the gateway's own document: whatever is sent gets a whole answer, or an error in the API's own shape, never a 500."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.openapi.document import document
from tests.gateway.http.test_fuzz import BODIES, JUNK, Pairs, check, encode, fuzz, mutated, of_schema
from tests.gateway.http.test_fuzz import client as client

SCHEMAS = document()["components"]["schemas"]
ENDS = {  # of a stream that is whole
    "/v1/messages": "message_stop",
    "/v1/responses": "response.completed",
}
MODELS = {"/v1/embeddings": ["locus-encoder", "auto", "llama-8b"]}
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions", "/v1/embeddings")


def check_api(path: str, response: httpx.Response) -> None:
    if path not in ENDS or (response.status_code != 200 and path != "/v1/messages"):
        check(response)
        return
    assert response.status_code < 500, response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        assert ENDS[path] in response.text.rsplit("event: ", 1)[1]
        return
    body = response.json()
    if response.status_code == 200:
        assert body["type" if path == "/v1/messages" else "object"] in ("message", "response")
        return
    assert body.keys() == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["error"].keys() <= {"type", "message", "details"}
    assert body["error"]["message"]


def requests_of(path: str) -> st.SearchStrategy[dict[str, Any]]:
    content = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    models = st.sampled_from(MODELS.get(path, ["auto", "llama-8b", "locus-encoder"]))
    drawn = st.tuples(of_schema(content["schema"], SCHEMAS), models)
    return drawn.map(lambda pair: content["example"] | pair[0] | {"model": pair[1]})


@pytest.mark.parametrize("path", PATHS)
def test_requests_by_our_own_document(client: httpx.Client, path: str) -> None:
    @fuzz(100)
    @given(request=mutated(requests_of(path)))
    def run(request: Any) -> None:
        check_api(path, client.post(path, content=encode(request)))

    run()


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/v1/chat/completions"])
def test_bodies_that_are_no_requests(client: httpx.Client, path: str) -> None:
    @fuzz(60)
    @given(body=BODIES)
    def run(body: bytes) -> None:
        check_api(path, client.post(path, content=body))

    run()


@fuzz(80)
@given(path=st.sampled_from(PATHS), own=JUNK)
def test_whatever_is_asked_of_the_gateway(client: httpx.Client, path: str, own: Any) -> None:
    example = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    check_api(path, client.post(path, content=encode(Pairs([*example.items(), ("locus", own)]))))


NAMES = st.sampled_from(
    [
        "policy",
        "cost-weight",
        "max-loss",
        "quality",
        "min-p-correct",
        "allow",
        "exclude",
        "failover",
        "stand-ins",
        "session",
        "other",
    ]
)


@fuzz(80)
@given(path=st.sampled_from(PATHS), name=NAMES, value=st.binary(max_size=40))
def test_whatever_its_headers_say(client: httpx.Client, path: str, name: str, value: bytes) -> None:
    example = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    clean = bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F).strip()
    check_api(path, client.post(path, json=example, headers={f"x-locus-{name}": clean}))
