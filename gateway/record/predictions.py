"""The predictions that a decision was based on, in a few hundred bytes: for replay of other policies and for reports.

They are packed by the recorder's thread, not during the request.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.record.needs import Needs


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a decision knew. M models, in portfolio order.

    Attributes:
        models: the names of all models of the portfolio.
        p_correct: predicted P(correct), (M,), float32; NaN for a model without an embedding.
        price_usd: expected price of this request, (M,), float64.
        priced: the price is known, (M,), bool.
        capable: the model can serve the request, and client and key allow it, (M,), bool.
        q: encoding of the query, (1, d_q), float32; None if the router knew none.
        text_dim: the first columns of q, which encode the text; the others are the surface statistics.
        needs: what else the decision took into account; None if the request is a batch of prompts, of which it knew the first.
    """

    models: tuple[str, ...]
    p_correct: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    priced: NDArray[np.bool_]
    capable: NDArray[np.bool_]
    q: NDArray[np.float32] | None
    text_dim: int
    needs: Needs | None


class PackedPredictions(NamedTuple):
    """The columns of the record.

    Attributes:
        portfolio: names the list of models in the table `portfolios`.
        all_candidates: M float16 of P(correct), then M float32 of prices in USD; NaN: unknown.
        encoding: a float32 scale, then an int8 for each column of the text's encoding.
        surface: float16 for each surface statistic.
        needs: a JSON object; see `Needs.pack`.
    """

    portfolio: str
    all_candidates: bytes
    encoding: bytes | None
    surface: bytes | None
    needs: str | None


def pack(predictions: Predictions) -> PackedPredictions:
    """Pack predictions; numbers are little-endian."""
    p, price = (
        predictions.p_correct.astype("<f2"),
        np.where(predictions.priced, predictions.price_usd, np.nan).astype("<f4"),
    )
    encoding, surface = (None, None) if predictions.q is None else pack_query(predictions.q, predictions.text_dim)
    candidates = p.tobytes() + price.tobytes()
    needs = None if predictions.needs is None else predictions.needs.pack()
    return PackedPredictions(portfolio_id(predictions.models), candidates, encoding, surface, needs)


def pack_query(q: NDArray[np.float32], text_dim: int) -> tuple[bytes, bytes]:
    """Pack the encoding of a query, (1, d_q): its columns `encoding` and `surface`."""
    text, statistics = np.split(q[0], [text_dim])
    scale = np.float32(max(float(np.abs(text).max(initial=0.0)), 1e-12) / 127)
    encoding = scale.astype("<f4").tobytes() + np.rint(text / scale).astype(np.int8).tobytes()
    return encoding, statistics.astype("<f2").tobytes()


def unpack_candidates(packed: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return P(correct) and price in USD of each model, both (M,), float32."""
    models = len(packed) // 6
    p, price = np.frombuffer(packed, "<f2", models), np.frombuffer(packed, "<f4", models, 2 * models)
    return p.astype(np.float32), price.astype(np.float32)


def unpack_query(encoding: bytes, surface: bytes) -> NDArray[np.float32]:
    """Return the query's encoding, (d_q,), float32, with an error of at most half the scale in each column of the text."""
    scale = np.frombuffer(encoding, "<f4", 1)[0]
    text = np.frombuffer(encoding, np.int8, offset=4).astype(np.float32) * scale
    return np.concatenate([text, np.frombuffer(surface, "<f2").astype(np.float32)])


@lru_cache(maxsize=16)
def portfolio_id(models: tuple[str, ...]) -> str:
    """Return the name of a list of models: equal for equal lists."""
    return blake2b("\0".join(models).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
