"""Query encodings for requests: known ones from memory, quick ones at once, slow ones in a thread, many at a time.

While a batch is being encoded, what arrives waits and becomes the next one; no text waits for a batch to fill.
"""

import asyncio
import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder

KNOWN = 2_048  # encodings are kept; about 1.5 kB each with the static encoder
BATCH = 16

Encoding = NDArray[np.float32]


class EncoderQueue:
    """Encodings of one text each, (1, d_q), float32, not to be written to. Used from one event loop.

    Args:
        known: so many are kept, the latest used.
    """

    def __init__(self, encoder: QueryEncoder, known: int = KNOWN) -> None:
        self._encoder = encoder
        self._most = known
        self._known: OrderedDict[bytes, Encoding] = OrderedDict()
        self._waiting: list[tuple[str, asyncio.Future[Encoding]]] = []
        self._busy = False

    async def encode(self, text: str) -> Encoding:
        """The encoding of a text. Does not suspend where it is known, or quickly had."""
        q = self.at_once(text)
        if q is None:
            answer: asyncio.Future[Encoding] = asyncio.get_running_loop().create_future()
            self._waiting.append((text, answer))
            if not self._busy:
                self._start()
            q = await answer
        return q

    def at_once(self, text: str) -> Encoding | None:
        """The encoding where it is known, or quickly had; None where that takes a thread."""
        key = _key(text)
        q = self._known.get(key)
        if q is not None:
            self._known.move_to_end(key)
        elif self._encoder.quick:
            q = self._encoder.encode([text])
            self._keep(key, q)
        return q

    def _start(self) -> None:
        """Sends those who wait to the thread, as far as they are still there."""
        batch: dict[str, list[asyncio.Future[Encoding]]] = {}
        rest = []
        for text, answer in self._waiting:
            if answer.done():  # its client has left
                continue
            if text in batch or len(batch) < BATCH:
                batch.setdefault(text, []).append(answer)
            else:
                rest.append((text, answer))
        self._waiting = rest
        self._busy = bool(batch)
        if batch:
            work = asyncio.get_running_loop().run_in_executor(None, _encode, self._encoder, list(batch))
            work.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(
        self, batch: dict[str, list[asyncio.Future[Encoding]]], done: asyncio.Future[list[Encoding | Exception]]
    ) -> None:
        for (text, answers), result in zip(batch.items(), done.result(), strict=True):
            there = [answer for answer in answers if not answer.done()]
            if isinstance(result, Exception):
                for answer in there:
                    answer.set_exception(result)
                continue
            self._keep(_key(text), result)
            for answer in there:
                answer.set_result(result)
        self._start()

    def _keep(self, key: bytes, q: Encoding) -> None:
        q.flags.writeable = False
        self._known[key] = q
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _encode(encoder: QueryEncoder, texts: list[str]) -> list[Encoding | Exception]:
    """Runs in a thread. A text that cannot be encoded does not take the others with it."""
    try:
        q = encoder.encode(texts)
    except Exception as exc:  # whatever the libraries raise; it belongs to the caller
        return [exc] if len(texts) == 1 else [result for text in texts for result in _encode(encoder, [text])]
    return [q[i : i + 1].copy() for i in range(len(texts))]


def _key(text: str) -> bytes:
    """A hash, so that no prompt is kept."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
