"""Which probes to ask of a model next: first spread over kinds of question, then those that tell most about the traffic.

The first answers find the level of the model. After them, each pick is the probe that lowers the variance of P(correct) over the
traffic most (greedy I-optimal design), by the posterior of the correction in `router.model.locus`. From the first probe on this
would be worse than chance: the prior is widest in rare kinds of question, whose single answers mislead about the level.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.locus import Locus
from router.model.network import sigmoid
from router.model.query_reader import Asked
from router.model.refinement import Expected, numbers_by_domain
from router.model.serving import Router

SPREAD = 16  # first probes, spread over kinds
TRAFFIC = 256  # queries of the traffic that are looked at, evenly spaced; more hardly change a choice
Array = NDArray[np.float32]


def choose_probes(
    router: Router,
    bank_q: NDArray[np.float32],
    kinds: Sequence[str],
    count: int,
    *,
    embedding: Embedding | None = None,
    asked: Sequence[int] = (),
    traffic_q: NDArray[np.float32] | None = None,
    seed: int = 0,
) -> list[int]:
    """The probes to ask next, in order. The same arguments give the same probes.

    Args:
        router: with the checkpoint that predicts.
        bank_q: query encodings of the bank, (B, d_q).
        kinds: the kind of question of each, B names.
        count: how many to choose; fewer are returned where the bank has no more.
        embedding: of the model from the answers so far; None: nothing is known of it.
        asked: indices of the probes that are not to be asked again.
        traffic_q: encodings of the queries that the model will answer, (T, d_q), T >= 1; None: the checkpoint's anchors.
        seed: of the choice within a kind of question.

    Raises:
        ValueError: shapes that do not fit, or an index outside the bank.
    """
    if bank_q.ndim != 2 or bank_q.shape != (len(kinds), router.encoder.dim):
        raise ValueError(f"expected {len(kinds)} encodings of width {router.encoder.dim}, got {bank_q.shape}")
    wrong = [index for index in asked if not 0 <= index < len(kinds)]
    if wrong:
        raise ValueError(f"asked has {wrong[0]}, which is not in the bank of {len(kinds)}")
    chosen = spread(kinds, min(count, max(0, SPREAD - len(asked))), asked, seed)
    if len(chosen) < count:
        traffic = router.locus.features.anchors if traffic_q is None else traffic_q
        known = [*asked, *chosen]
        chosen += telling(router, bank_q, traffic, known, count - len(chosen), embedding, len(asked))
    return chosen


def spread(kinds: Sequence[str], count: int, asked: Sequence[int], seed: int) -> list[int]:
    """Indices of probes, one of each kind by turns, at random within it; the kinds with the fewest asked come first."""
    rng = np.random.default_rng(seed)
    left: dict[str, list[int]] = {}
    taken = set(asked)
    for index in rng.permutation(len(kinds)).tolist():
        if index not in taken:
            left.setdefault(kinds[index], []).append(index)
    number = {kind: sum(kinds[index] == kind for index in asked) for kind in left}
    turn = {kind: place for place, kind in enumerate(left)}  # in the random order in which they came
    chosen: list[int] = []
    while left and len(chosen) < count:
        kind = min(left, key=lambda kind: (number[kind], turn[kind]))
        chosen.append(left[kind].pop())
        number[kind] += 1
        if not left[kind]:
            del left[kind]
    return chosen


def telling(
    router: Router,
    bank_q: Array,
    traffic_q: Array,
    known: Sequence[int],
    count: int,
    embedding: Embedding | None,
    answered: int,
) -> list[int]:
    """Indices of the probes that tell most about the traffic, the best first.

    With covariances c of P(correct) after what is known, a probe x lowers the variance over the traffic t by
    Σ_t c(x, t)² / (c(x, x) + S(x)); its pick updates c by a matrix of rank one.

    Args:
        known: probes that were asked or are chosen already.
        answered: how many of the first ones the embedding comes from.
    """
    locus = router.locus
    traffic_q = traffic_q[np.linspace(0, len(traffic_q) - 1, min(len(traffic_q), TRAFFIC)).astype(np.int64)]
    bank, traffic = locus.asked(bank_q), locus.asked(traffic_q)
    noise, rows = _prepared(router, embedding, answered, bank, traffic)
    covariance = rows[: len(bank_q)] @ rows.T  # (B, B + T)
    free = np.ones(len(bank_q), np.bool_)
    free[list(known)] = False
    pending, chosen = list(known), []
    for _ in range(len(known) + min(count, int(free.sum()))):
        if pending:
            pick = pending.pop(0)
        else:
            gain = (covariance[:, len(bank_q) :] ** 2).sum(axis=1) / (np.diagonal(covariance) + noise)
            pick = int(np.where(free, gain, -np.inf).argmax())
            free[pick] = False
            chosen.append(pick)
        column = covariance[:, pick].copy()
        row = covariance[pick] / (column[pick] + noise[pick])
        covariance -= column[:, None] * row
    return chosen


def _prepared(
    router: Router, embedding: Embedding | None, answered: int, bank: Asked, traffic: Asked
) -> tuple[Array, Array]:
    """The noise of each probe, S, (B,), and rows whose products are prior covariances of bank and traffic, (B + T, D + G)."""
    locus = router.locus
    design = np.concatenate([locus.design(bank), locus.design(traffic)])
    if embedding is None:
        # A typical model: the mean of the space.
        named = router.space.embeddings.named.mean(axis=0)
        noise = locus.network.spread(sigmoid(bank.odds))
        return noise, design * np.sqrt(locus.variance(named)).astype(np.float32)
    root = np.sqrt(locus.variance(embedding.named)).astype(np.float32)
    noise = Expected.of(locus, embedding, bank).spread
    elsewhere = 1 - answered / max(embedding.evaluations, 1)  # share of its evaluations that are not of this bank
    if elsewhere <= 0:
        return noise, design * root
    return noise, _after(locus, embedding, elsewhere, root, design)


def _after(locus: Locus, embedding: Embedding, share: float, root: Array, design: Array) -> Array:
    """Rows of `design` whose products are covariances after a share of the embedding's evaluations, (m, D + G).

    The evaluations are put at the anchors, as in `router.model.refinement`: with A = S^(-1/2) X V^(1/2), the covariance of two rows
    is that of L⁻¹ V^(1/2) x, where L Lᵀ = 1 + AᵀA.
    """
    mass = share * (locus.anchor_shares.T @ numbers_by_domain(locus, embedding)).astype(np.float32)
    spread_there = Expected.of(locus, embedding, locus.anchors).spread
    a = locus.design(locus.anchors) * root * np.sqrt(mass / spread_there)[:, None]
    factor = np.linalg.cholesky(a.T @ a + np.eye(len(root), dtype=np.float32))
    return np.asarray(np.linalg.solve(factor, (design * root).T).T, np.float32)
