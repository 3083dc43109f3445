"""Encodes texts for the requests of one event loop: queries, for routing, and the inputs of the built-in embedding model.

Encodings of queries are cached. A quick encoder runs in the event loop. A slow one runs in a thread, one batch at a time: the texts
that arrive during a batch make up the next one, queries before inputs. No text waits for a batch to fill.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder

CACHE_SIZE = 2_048  # encodings; about 1.5 kB each with the static encoder
QUERIES_PER_BATCH = 16
INPUTS_PER_BATCH = 4  # few, so that a query soon gets its turn during a large request for embeddings
TURN_S = 0.002  # the longest time that a quick encoder computes embeddings before other tasks run

Encoding: TypeAlias = NDArray[np.float32]


class _Waiting(NamedTuple):
    text: str
    result: asyncio.Future[Encoding]


_Batch: TypeAlias = dict[
    str, list[asyncio.Future[Encoding]]
]  # each text with the futures of the callers that wait for it


class EncoderQueue:
    """The encodings of single texts, (1, d_q), float32, read-only. Used from one event loop.

    Args:
        cache_size: the number of encodings that are cached; the least recently used are dropped.
    """

    def __init__(self, encoder: QueryEncoder, cache_size: int = CACHE_SIZE) -> None:
        self._encoder = encoder
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, Encoding] = OrderedDict()
        self._queries: list[_Waiting] = []
        self._inputs: list[_Waiting] = []
        self._busy = False

    async def encode(self, text: str) -> Encoding:
        """The encoding of a query. Does not suspend if it is cached or the encoder is quick."""
        q = self.encode_now(text)
        if q is None:
            result = _add(self._queries, text)
            self._start_unless_busy()
            q = await result
        return q

    def encode_now(self, text: str) -> Encoding | None:
        """The encoding of a query; None if a thread has to compute it."""
        key = _key(text)
        q = self._cache.get(key)
        if q is not None:
            self._cache.move_to_end(key)
        elif self._encoder.quick:
            q = self._encoder.encode([text])
            self._store(key, q)
        return q

    async def embed(self, texts: Sequence[str]) -> Encoding:
        """Embeddings of `texts`, (n, text_dim), float32, of unit norm: encodings without the surface statistics that routing uses.

        They are not cached: the inputs of one request could replace all queries in the cache.
        """
        rows = await (self._embed_in_turns(texts) if self._encoder.quick else self._embed_in_batches(texts))
        return np.concatenate(rows)[:, : self._encoder.text_dim]

    async def _embed_in_turns(self, texts: Sequence[str]) -> list[Encoding]:
        rows = []
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_S
        for text in texts:
            rows.append(self._encoder.encode([text]))
            if loop.time() > end:
                await asyncio.sleep(0)
                end = loop.time() + TURN_S
        return rows

    async def _embed_in_batches(self, texts: Sequence[str]) -> list[Encoding]:
        rows: list[Encoding] = []
        for start in range(
            0, len(texts), INPUTS_PER_BATCH
        ):  # one batch at a time, so that concurrent requests take turns
            results = [_add(self._inputs, text) for text in texts[start : start + INPUTS_PER_BATCH]]
            self._start_unless_busy()
            try:
                rows += await asyncio.gather(*results)
            finally:
                for result in results:
                    result.cancel()  # after an error; has no effect on a future that is done
        return rows

    def _start_unless_busy(self) -> None:
        if not self._busy:
            self._start_batch()

    def _start_batch(self) -> None:
        """Passes the next batch to the thread, without the texts of requests that were cancelled."""
        batch: _Batch = {}
        self._queries = _fill(batch, self._queries, QUERIES_PER_BATCH)
        queries = frozenset(batch)
        self._inputs = _fill(batch, self._inputs, len(queries) + INPUTS_PER_BATCH)
        self._busy = bool(batch)
        if batch:
            work = asyncio.get_running_loop().run_in_executor(None, _encode_each, self._encoder, list(batch))
            work.add_done_callback(lambda done: self._finish_batch(batch, queries, done.result()))

    def _finish_batch(self, batch: _Batch, queries: Collection[str], encoded: list[Encoding | Exception]) -> None:
        for (text, results), q in zip(batch.items(), encoded, strict=True):
            if text in queries and not isinstance(q, Exception):
                self._store(_key(text), q)
            for result in results:
                if result.done():  # its request was cancelled
                    continue
                if isinstance(q, Exception):
                    result.set_exception(q)
                else:
                    result.set_result(q)
        self._start_batch()

    def _store(self, key: bytes, q: Encoding) -> None:
        q.flags.writeable = False
        self._cache[key] = q
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def _add(queue: list[_Waiting], text: str) -> asyncio.Future[Encoding]:
    result: asyncio.Future[Encoding] = asyncio.get_running_loop().create_future()
    queue.append(_Waiting(text, result))
    return result


def _fill(batch: _Batch, queue: list[_Waiting], size: int) -> list[_Waiting]:
    """Adds texts to a batch until it has `size` different ones; returns the rest of the queue."""
    rest = []
    for waiting in queue:
        if waiting.result.done():  # its request was cancelled
            continue
        if waiting.text in batch or len(batch) < size:
            batch.setdefault(waiting.text, []).append(waiting.result)
        else:
            rest.append(waiting)
    return rest


def _encode_each(encoder: QueryEncoder, texts: list[str]) -> list[Encoding | Exception]:
    """The encoding of each text, or the error of that text alone. Runs in a thread."""
    try:
        q = encoder.encode(texts)
    except Exception as exc:  # of any library; the caller gets it
        return [exc] if len(texts) == 1 else [result for text in texts for result in _encode_each(encoder, [text])]
    return [q[i : i + 1].copy() for i in range(len(texts))]


def _key(text: str) -> bytes:
    """A hash, so that the cache holds no prompts."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
