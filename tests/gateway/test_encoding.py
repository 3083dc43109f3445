import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.encoding import BATCH, Encodings
from router.encoder import QueryEncoder, load_encoder
from tests.gateway.running import eventually

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


def slow(known: int = 100) -> tuple[Slow, Encodings]:
    text = Slow()
    return text, Encodings(QueryEncoder(text), known)


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
    encodings = Encodings(encoder)
    for _ in range(2):
        with pytest.raises(StopIteration) as done:
            encodings.encode("What is 2 + 2?").send(None)
        np.testing.assert_array_equal(done.value.value, encoder.encode(["What is 2 + 2?"]))
    with pytest.raises(ValueError, match="read-only"):
        done.value.value[0, 0] = 1.0
