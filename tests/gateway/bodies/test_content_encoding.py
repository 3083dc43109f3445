"""Compressed request bodies, and those that are made to become large."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.bodies.content_encoding import ENCODINGS, MAX_MEMBERS, content_encodings, decoded, zstd
from gateway.core.errors import BodyTooLarge, UnsupportedEncoding
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider

LIMIT = 1 << 20
TEXTS = [b"", b"hello", b"a" * LIMIT, bytes(range(256)) * 1000]


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODE: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}
if "br" in ENCODINGS:
    import brotli

    ENCODE["br"] = brotli.compress


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_what_is_encoded_comes_back(name: str, text: bytes) -> None:
    assert decoded(ENCODE[name](text), [name], LIMIT) == text


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_small_body_cannot_become_a_large_one(name: str) -> None:
    with pytest.raises(BodyTooLarge, match=str(LIMIT)):
        decoded(ENCODE[name](bytes(LIMIT + 1)), [name], LIMIT)


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_is_not_encoded_so_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedEncoding, match=name):
        decoded(b'{"model": "auto"}', [name], LIMIT)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_cut_body_is_refused(name: str) -> None:
    for kept in (4, -9):
        with pytest.raises(UnsupportedEncoding, match=name):
            decoded(ENCODE[name](TEXTS[3])[:kept], [name], LIMIT)


def test_odd_forms() -> None:
    assert decoded(_raw_deflate(b"bare"), ["deflate"], LIMIT) == b"bare"
    assert decoded(gzip.compress(b"a") * 3, ["gzip"], LIMIT) == b"aaa"
    assert decoded(zlib.compress(gzip.compress(b"twice")), ["deflate", "gzip"], LIMIT) == b"twice"
    assert content_encodings(b"gzip , X-GZIP, identity") == ["gzip", "gzip"]
    assert content_encodings(b"identity") == content_encodings(b"") == []
    with pytest.raises(UnsupportedEncoding):
        decoded(gzip.compress(b"") * (MAX_MEMBERS + 1), ["gzip"], LIMIT)
    assert decoded(ENCODE["zstd"](b"a") * 3, ["zstd"], LIMIT) == b"aaa"
    with pytest.raises(UnsupportedEncoding):
        decoded(ENCODE["zstd"](b"") * (MAX_MEMBERS + 1), ["zstd"], LIMIT)
    with pytest.raises(UnsupportedEncoding, match="at most 2"):
        content_encodings(b"gzip, gzip, gzip")


@pytest.mark.anyio
async def test_requests_are_decoded_and_others_refused_by_name(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"max_body_mb": 1.0}) as run,
    ):
        chat = orjson.dumps({"model": "llama-8b", "messages": [{"role": "user", "content": "hi"}]})
        responses = orjson.dumps({"model": "llama-8b", "input": "hi"})
        for name, encode in ENCODE.items():
            for path, body in (("/v1/chat/completions", chat), ("/v1/responses", responses), ("/v1/route", chat)):
                answer = await run.http.post(path, content=encode(body), headers={"content-encoding": name})
                assert answer.status_code == 200, (name, path, answer.text)
            bomb = await run.http.post(
                "/v1/messages", content=encode(bytes(2 << 20)), headers={"content-encoding": name}
            )
            assert (bomb.status_code, bomb.json()["type"]) == (413, "error")
        assert up.calls[0].body["messages"] == [{"role": "user", "content": "hi"}]
        assert "content-encoding" not in up.calls[0].headers
        unknown = await run.http.post("/v1/chat/completions", content=chat, headers={"content-encoding": "compress"})
        assert unknown.status_code == 415
        assert unknown.headers["accept-encoding"] == ", ".join(ENCODINGS)
        assert "`compress`" in unknown.json()["error"]["message"]
