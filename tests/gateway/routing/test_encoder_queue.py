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

from gateway.routing.encoder_queue import BATCH, EncoderQueue
from router.encode.encoder import QueryEncoder
from router.encode.load import load_encoder
from tests.gateway.commands.test_demo import REPOSITORY, free_port
from tests.gateway.running import entry, eventually, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio


class Slow:
    """A text encoder that takes as long as the test wants; notes what it is asked, and in which threads."""

    spec, hash, dim, quick = "slow", "slow", 3, False

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self.go_on = threading.Semaphore(0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        assert self.go_on.acquire(timeout=10)
        if "bad" in texts:
            raise ValueError("no such text")
        return np.array([[len(text), 1, 1] for text in texts], np.float32)


def slow(known: int = 100) -> tuple[Slow, EncoderQueue]:
    text = Slow()
    return text, EncoderQueue(QueryEncoder(text), known)


async def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: text.batches == [["first"]])  # nobody waits for it to fill
    others = [asyncio.create_task(encodings.encode(f"{i}" * (1 + i % 7))) for i in range(BATCH + 4)]
    twin = asyncio.create_task(encodings.encode("0"))
    await asyncio.sleep(0)
    text.go_on.release(3)
    q = await first
    assert (q.shape, q[0, 0]) == ((1, 3 + 34), 5)
    rows = await asyncio.gather(*others)
    assert [len(batch) for batch in text.batches] == [1, BATCH, 4]
    assert [row[0, 0] for row in rows] == [len(f"{i}" * (1 + i % 7)) for i in range(BATCH + 4)]
    np.testing.assert_array_equal(await twin, rows[0])
    assert threading.get_ident() not in text.threads


async def test_the_loop_runs_on_while_a_text_is_encoded() -> None:
    text, encodings = slow()
    task = asyncio.create_task(encodings.encode("long"))
    await eventually(lambda: bool(text.batches))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    assert encodings.at_once("long") is None
    text.go_on.release()
    await task
    assert encodings.at_once("long") is not None


async def test_who_leaves_takes_nobody_along() -> None:
    text, encodings = slow()
    first = asyncio.create_task(encodings.encode("first"))
    beside = asyncio.create_task(encodings.encode("first"))
    await eventually(lambda: bool(text.batches))
    gone, stays = (asyncio.create_task(encodings.encode(name)) for name in ("gone", "stays"))
    await asyncio.sleep(0)
    first.cancel()
    gone.cancel()
    text.go_on.release(3)
    assert (await stays)[0, 0] == 5
    assert (await beside)[0, 0] == 5
    assert not any("gone" in batch for batch in text.batches)  # nobody wants it any more
    assert encodings.at_once("first") is not None
    for task in (first, gone):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await encodings.encode("stays"))[0, 0] == 5  # known: encoded once
    only = asyncio.create_task(encodings.encode("only"))
    await eventually(lambda: text.batches[-1] == ["only"])
    only.cancel()
    text.go_on.release()
    await eventually(lambda: encodings.at_once("only") is not None)


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


async def test_so_many_are_known_and_the_latest_used_stay() -> None:
    text, encodings = slow(known=2)
    text.go_on.release(10)
    for name in ("a", "b"):
        await encodings.encode(name)
    assert encodings.at_once("a") is not None
    await encodings.encode("c")
    assert encodings.at_once("a") is not None
    assert encodings.at_once("b") is None
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
            async with asyncio.timeout(20):
                while not (line := await process.stderr.readline()).startswith(b"try"):
                    assert line, "it ended"
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2, and why?"}]}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
                for _ in range(100):
                    try:
                        answered = await http.post("/v1/chat/completions", json=body)
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.05)
            assert (answered.status_code, "x-locus-p-correct" in answered.headers) == (200, True)
            process.terminate()
            out, _ = await asyncio.wait_for(process.communicate(), 10)
            assert out.decode().strip() == "[]"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
