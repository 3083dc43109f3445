import asyncio
import os
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.routing.encoder_queue import INPUTS_PER_BATCH, QUERIES_PER_BATCH, EncoderQueue
from router.encode.encoder import QueryEncoder
from router.encode.load import load_encoder
from tests.gateway.commands.test_demo import REPOSITORY
from tests.gateway.running import entry, eventually, write_portfolio
from tests.gateway.upstreams import ScriptedProvider
from tests.ports import free_port

pytestmark = pytest.mark.anyio


class Slow:
    """A text encoder that waits until the test lets it continue, and records its texts and threads."""

    spec, hash, dim, quick = "slow", "slow", 3, False

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.go_on = threading.Semaphore(0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        assert self.go_on.acquire(timeout=60)
        if "bad" in texts:
            raise ValueError("no such text")
        return np.array([[len(text), 1, 1] for text in texts], np.float32)


def slow(cache_size: int = 100) -> tuple[Slow, EncoderQueue]:
    text = Slow()
    return text, EncoderQueue(QueryEncoder(text), cache_size)


async def test_texts_that_arrive_during_a_batch_make_up_the_next_one() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: text.batches == [["first"]])  # a batch starts at once, however small
    others = [asyncio.create_task(encodings.encode(f"{i}" * (1 + i % 7))) for i in range(QUERIES_PER_BATCH + 4)]
    twin = asyncio.create_task(encodings.encode("0"))
    await asyncio.sleep(0)
    text.go_on.release(3)
    q = await first
    assert (q.shape, q[0, 0]) == ((1, 3 + 34), 5)
    rows = await asyncio.gather(*others)
    assert [len(batch) for batch in text.batches] == [1, QUERIES_PER_BATCH, 4]
    assert [row[0, 0] for row in rows] == [len(f"{i}" * (1 + i % 7)) for i in range(QUERIES_PER_BATCH + 4)]
    np.testing.assert_array_equal(await twin, rows[0])
    assert threading.get_ident() not in text.threads


async def test_the_event_loop_runs_while_a_text_is_encoded() -> None:
    text, encodings = slow()
    task = asyncio.create_task(encodings.encode("long"))
    await eventually(lambda: bool(text.batches))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    assert encodings.encode_now("long") is None
    text.go_on.release()
    await task
    assert encodings.encode_now("long") is not None


async def test_a_cancelled_request_does_not_affect_the_others() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    beside = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: bool(text.batches))
    cancelled, stays = (asyncio.create_task(encodings.encode(name)) for name in ("cancelled", "stays"))
    await asyncio.sleep(0)
    first.cancel()
    cancelled.cancel()
    text.go_on.release(3)
    assert (await stays)[0, 0] == 5
    assert (await beside)[0, 0] == 5
    assert not any("cancelled" in batch for batch in text.batches)  # its request was cancelled
    assert encodings.encode_now("first") is not None
    for task in (first, cancelled):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await encodings.encode("stays"))[0, 0] == 5  # cached: encoded once
    only = asyncio.create_task(encodings.encode("only"))
    await eventually(lambda: text.batches[-1] == ["only"])
    only.cancel()
    text.go_on.release()
    await eventually(lambda: encodings.encode_now("only") is not None)


async def test_a_text_that_cannot_be_encoded_fails_alone() -> None:
    text, encodings = slow()
    text.go_on.release(10)
    good, bad, other = await asyncio.gather(
        *(encodings.encode(name) for name in ("good", "bad", "other")), return_exceptions=True
    )
    assert isinstance(bad, ValueError)
    assert isinstance(good, np.ndarray)
    assert isinstance(other, np.ndarray)
    assert (await encodings.encode("again"))[0, 0] == 5


async def test_the_least_recently_used_encoding_leaves_the_cache() -> None:
    text, encodings = slow(cache_size=2)
    text.go_on.release(10)
    for name in ("a", "b"):
        await encodings.encode(name)
    assert encodings.encode_now("a") is not None
    await encodings.encode("c")
    assert encodings.encode_now("a") is not None
    assert encodings.encode_now("b") is None
    assert text.batches == [["a"], ["b"], ["c"]]


async def test_a_quick_encoder_never_suspends() -> None:
    encoder = load_encoder()
    encodings = EncoderQueue(encoder)
    for _ in range(2):
        with pytest.raises(StopIteration) as done:
            encodings.encode("What is 2 + 2?").send(None)
        np.testing.assert_array_equal(done.value.value, encoder.encode(["What is 2 + 2?"]))
    with pytest.raises(ValueError, match="read-only"):
        done.value.value[0, 0] = 1.0


async def test_embeddings_are_the_first_columns_and_not_cached() -> None:
    text, encodings = slow()
    text.go_on.release(10)
    vectors = await encodings.embed(["one", "three", "one"])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array([[3, 1, 1], [5, 1, 1], [3, 1, 1]], np.float32))
    assert text.batches == [["one", "three"]]
    assert encodings.encode_now("one") is None
    encoder = load_encoder()
    vectors = await EncoderQueue(encoder).embed(["What is 2 + 2?", ""])
    np.testing.assert_array_equal(vectors, encoder.encode(["What is 2 + 2?", ""])[:, : encoder.text_dim])


async def test_a_query_waits_for_one_small_batch_of_a_large_request_for_embeddings() -> None:
    text, encodings = slow()
    inputs = [f"input {i}" for i in range(100)]
    embedding = asyncio.create_task(encodings.embed(inputs))
    await eventually(lambda: len(text.batches) == 1)
    queries = [asyncio.create_task(encodings.encode(f"query {i}")) for i in range(QUERIES_PER_BATCH + 1)]
    await asyncio.sleep(0)
    text.go_on.release(2)
    await asyncio.gather(*queries[:QUERIES_PER_BATCH])
    text.go_on.release(100)
    await queries[-1]
    assert (await embedding).shape == (100, 3)
    assert text.batches[0] == inputs[:INPUTS_PER_BATCH]
    assert text.batches[1][:QUERIES_PER_BATCH] == [f"query {i}" for i in range(QUERIES_PER_BATCH)]
    assert text.batches[2][0] == f"query {QUERIES_PER_BATCH}"
    assert max(len([text for text in batch if text in inputs]) for batch in text.batches) == INPUTS_PER_BATCH


async def test_requests_for_embeddings_take_turns() -> None:
    text, encodings = slow()
    large = asyncio.create_task(encodings.embed([f"{i}" for i in range(40)]))
    await eventually(lambda: len(text.batches) == 1)
    small = asyncio.create_task(encodings.embed(["small"]))
    await asyncio.sleep(0)
    text.go_on.release(2)
    assert (await small)[0, 0] == 5
    assert not large.done()
    text.go_on.release(40)
    assert (await large).shape == (40, 3)


async def test_a_cancelled_request_for_embeddings_leaves_the_queue() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: len(text.batches) == 1)
    waiting = asyncio.create_task(encodings.embed(["waiting"] * 3))
    await asyncio.sleep(0)
    waiting.cancel()
    text.go_on.release()
    await first
    running = asyncio.create_task(encodings.embed([f"{i}" for i in range(40)]))
    await eventually(lambda: len(text.batches) == 2)
    running.cancel()
    text.go_on.release(2)
    assert (await encodings.encode("next"))[0, 0] == 4
    assert text.batches == [["first"], ["0", "1", "2", "3"], ["next"]]
    for task in (waiting, running):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_input_that_cannot_be_encoded_fails_its_own_request_only() -> None:
    text, encodings = slow()
    text.go_on.release(20)
    bad, good, query = await asyncio.gather(
        encodings.embed(["a", "bad", "c", "d", "e"]),
        encodings.embed(["good"]),
        encodings.encode("query"),
        return_exceptions=True,
    )
    assert isinstance(bad, ValueError)
    assert isinstance(good, np.ndarray)
    assert isinstance(query, np.ndarray)
    assert not any("e" in batch for batch in text.batches)  # the request has failed by then


async def test_a_query_that_is_an_input_too_is_encoded_once_and_cached() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: len(text.batches) == 1)
    both = asyncio.gather(encodings.embed(["both", "other"]), encodings.encode("both"))
    await asyncio.sleep(0)
    text.go_on.release(2)
    vectors, q = await both
    np.testing.assert_array_equal(vectors[0], q[0, :3])
    assert text.batches == [["first"], ["both", "other"]]
    assert encodings.encode_now("both") is q
    assert encodings.encode_now("other") is None
    await first


SERVE = """
import atexit, sys
atexit.register(lambda: print(sorted({"torch", "transformers", "sentence_transformers"} & set(sys.modules))))
from gateway.commands.main import main
main()
"""


async def test_the_serving_process_decides_without_torch(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        port = free_port()
        config = write_portfolio(tmp_path, [entry(name, up.base_url) for name in ("llama-8b", "llama-70b")])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE, "serve", "--config", str(config), "--port", str(port)),
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            assert process.stderr is not None
            async with asyncio.timeout(60):
                while not (line := await process.stderr.readline()).startswith(b"try"):
                    assert line, "it ended"
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2, and why?"}]}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                for _ in range(100):
                    try:
                        answered = await http.post("/v1/chat/completions", json=body)
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
            assert (answered.status_code, "x-locus-p-correct" in answered.headers) == (200, True)
            process.terminate()
            out, _ = await asyncio.wait_for(process.communicate(), 60)
            assert out.decode().strip() == "[]"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
