"""A known embedding and new evaluations -> the embedding after them, although the old evaluations are not at hand. numpy only.

What an embedding knows of its old evaluations is their number and how sure it is of the model's level in each domain. Evaluations
are put in their place: at the anchors, each with the score that the embedding predicts itself, and in each domain as many as its
standard error there says. The exact posterior of both, the ones in their place and the new ones, is the refined correction; the
prior mean of P(correct) by attention stays as it was. The place in the space moves as attention moves over both.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.model.ability import Ability
from router.model.embedding import Embedding
from router.model.evaluations import Evaluations
from router.model.locus import Locus
from router.model.network import sigmoid
from router.model.query_reader import Asked
from router.model.readout import NOISE, posterior

ROUNDS = 80  # of the numbers of evaluations by domain; they settle within some tens
LEAST_NUMBER = 1e-3  # of evaluations in a domain
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Expected:
    """What a model's parts predict at n queries, before they are bent into [0, 1].

    Attributes:
        network: prior mean and correction, (n,), float32.
        plain: the mean model at the level of the name, and the plain read-out, (n,), float32.
        spread: variance of a score there, (n,), float32.
    """

    network: Array
    plain: Array
    spread: Array

    @classmethod
    def of(cls, locus: Locus, model: Embedding, asked: Asked) -> "Expected":
        """Of one model at the queries that were read."""
        named = asked.odds + np.float32(model.level)
        terms = locus.network.model_terms(model.named[None])
        prior = sigmoid(named + locus.network.log_odds(asked.u, terms)[:, 0])
        network = prior + asked.design @ model.correction
        plain = sigmoid(named) + asked.design[:, : len(model.readout)] @ model.readout
        inside = np.clip(network, 0, 1)
        return cls(network, plain, locus.network.spread(inside))


def refined(locus: Locus, model: Embedding, q: Array, y: Array, weights: Array | None = None) -> Embedding:
    """The embedding after new evaluations, bitwise independent of their order.

    Args:
        locus: of the checkpoint that computed the embedding.
        q: query encodings, (n, d_q), n >= 1.
        y: scores, (n,), usually in [0, 1]; see `Router.embed`.
        weights: how many evaluations each one counts as, (n,), at least 0; None: 1 each.

    Raises:
        ValueError: no evaluations, or shapes that do not fit, or a weight below 0.
    """
    new = Evaluations.ordered(q, y, weights, locus.features.anchors.shape[1])
    asked, anchors = locus.asked(new.q), locus.anchors
    there, here = Expected.of(locus, model, anchors), Expected.of(locus, model, asked)
    mass = locus.anchor_shares.T @ numbers_by_domain(locus, model).astype(np.float32)  # of each anchor, (A,)
    variance = locus.variance(model.named)
    spreads = np.concatenate([there.spread / mass, here.spread / new.weights])
    design = np.concatenate([locus.design(anchors), locus.design(asked)])
    none = np.zeros(len(mass), np.float32)
    at = locus.domain_design
    before = posterior(design[: len(mass)], none[:, None], spreads[: len(mass)], variance, at)
    residuals = np.concatenate([none, new.y - here.network])[:, None]
    after = posterior(design, residuals, spreads, variance, at)
    noise = np.asarray(NOISE / np.concatenate([mass, new.weights]), np.float32)
    residuals = np.concatenate([none, new.y - here.plain])[:, None]
    plain = posterior(design[:, : locus.features.width], residuals, noise, locus.readout_variance)
    prior = Ability(model.ability, model.ability_variance)
    able = locus.general.ability(new.q, asked.features, new.y, prior, new.weights)
    return replace(
        model,
        z=_place(locus, model, np.clip(there.network, 0, 1), mass, new),
        correction=model.correction + locus.joined_coefficients(after.mean[:, 0]),
        readout=model.readout + locus.features.joined_coefficients(plain.mean[:, 0]),
        variances=np.asarray(model.variances * np.minimum(after.variance / before.variance, 1), np.float32),
        ability=able.mean,
        ability_variance=able.variance,
        evaluations=model.evaluations + max(1, round(new.total)),
    )


def _place(locus: Locus, model: Embedding, expected: Array, mass: Array, new: Evaluations) -> Array:
    """The place after the new evaluations, (128,), float32.

    Attention over the evaluations in the place of the old ones misses what was special to those: the difference of the place
    before and what it gives without the new ones. The difference keeps the share that the old evaluations have of all.

    Args:
        expected: scores of the evaluations in the place of the old ones, at the anchors, (A,).
        mass: how many evaluations each of them counts as, (A,).
    """
    x, mean = locus.attended(locus.features.anchors)
    before = locus.network.embed(x, expected, mean, mass)
    new_x, new_mean = locus.attended(new.q)
    after = locus.network.embed(
        np.concatenate([x, new_x]),
        np.concatenate([expected, new.y]),
        np.concatenate([mean, new_mean]),
        np.concatenate([mass, new.weights]),
    )
    share = np.float32(model.evaluations / (model.evaluations + new.total))
    return np.asarray(after + share * (model.z - before), np.float32)


def numbers_by_domain(locus: Locus, model: Embedding) -> NDArray[np.float64]:
    """How many evaluations in each domain would make a model's standard errors what they are, (C,), float64.

    The level in a domain has the prior of the model's correction. With n_c evaluations of variance S_c in each domain c, the
    posterior covariance of the levels is K (I + diag(n / S) K)⁻¹; n is scaled until its diagonal is `variances`.
    """
    rows = locus.domain_design.astype(np.float64)
    covariance = rows * locus.variance(model.named) @ rows.T  # K, (C, C)
    spread = locus.anchor_shares.astype(np.float64) @ Expected.of(locus, model, locus.anchors).spread  # S, (C,)
    wanted = np.maximum(model.variances.astype(np.float64), 1e-9)
    number = np.maximum(spread / wanted - spread / np.diag(covariance), LEAST_NUMBER)
    for _ in range(ROUNDS):
        after = np.linalg.solve(np.eye(len(number)) + covariance * (number / spread), covariance)
        number = np.maximum(number * np.diag(after) / wanted, LEAST_NUMBER)
    return number
