"""LOCUS: a model's evaluations -> its embedding, in one deterministic pass without training. numpy only.

Attention over the evaluations gives z and with it the prior mean μ of P(correct) at every query. The exact posterior of
what μ leaves unexplained is the correction δ. P(correct) = bend(μ + δ), computed by `router.model.predictor`. With many
evaluations, μ + δ is mixed with the plain read-out of the scores, which attention cannot improve then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.model.ability import ABILITY_SPREAD, Ability
from router.model.embedding import Embedding
from router.model.evaluations import Evaluations
from router.model.features import ANCHORS_KEY, FeatureMap
from router.model.general import General
from router.model.name_prior import NamePrior
from router.model.network import Network, sigmoid
from router.model.query_input import QueryInput
from router.model.query_reader import Asked, QueryReader, log_odds
from router.model.readout import NOISE, posterior

READOUT_EVALUATIONS = 512  # with this many evaluations, the plain read-out has half of its largest share
LEAST_SHARE = 1e-6  # of an anchor in a domain; above 0, since a domain may have no anchor


@dataclass(frozen=True)
class Locus:
    """A trained LOCUS.

    Attributes:
        features: ψ.
        mean: the mean model on ψ, (D,), float64.
        inputs: what attention sees of a query.
        network: set encoder and prior mean.
        names: the level that a model's name suggests.
        general: P(correct) of prompts that resemble no evaluated one.
        readout_variance: v of the plain read-out, (D,), float64.
        readout_share: its share in predictions for a model with very many evaluations, in [0, 1]; chosen on `val`.
    """

    features: FeatureMap
    mean: NDArray[np.float64]
    inputs: QueryInput
    network: Network
    names: NamePrior
    general: General
    readout_variance: NDArray[np.float64]
    readout_share: float

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any]) -> "Locus":
        """The LOCUS in a checkpoint's arrays and its card's `config`.

        Raises:
            ArtifactError: an array is missing, or the shapes do not fit.
        """
        try:
            text_dim = int(config["text_dim"])
            features = FeatureMap.restore(weights, text_dim)
            locus = cls(
                features,
                weights["mean"].astype(np.float64),
                QueryInput.restore(weights, text_dim, features.mean, features.scale),
                Network.restore(weights),
                NamePrior.restore(weights),
                General.restore(weights),
                weights["readout.variance"].astype(np.float64),
                float(weights["readout.share"][0]),
            )
        except KeyError as exc:
            raise ArtifactError(f"the checkpoint lacks {exc.args[0]}") from exc
        shapes = (locus.mean.shape, locus.readout_variance.shape)
        if any(shape != (features.width,) for shape in shapes):
            raise ArtifactError(f"the checkpoint's arrays do not fit each other: D is {features.width}, found {shapes}")
        wide = features.benchmarks + len(features.parent) + locus.inputs.directions.shape[1] + len(features.mean) + 1
        if locus.network.input_width != wide:
            raise ArtifactError(
                f"the network reads inputs of width {locus.network.input_width}, the queries have {wide}"
            )
        return locus

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays of a checkpoint, name -> array: float32, the anchors float16."""
        arrays = {
            "mean": self.mean,
            "readout.variance": self.readout_variance,
            "readout.share": np.array([self.readout_share]),
        }
        return {
            **self.features.weights(),
            **self.inputs.weights(),
            **self.network.weights(),
            **self.names.weights(),
            **self.general.weights(),
            **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            ANCHORS_KEY: self.features.anchors.astype(np.float16),
        }

    def embed(
        self,
        q: NDArray[np.float32],
        y: NDArray[np.float32],
        name: str | None = None,
        weights: NDArray[np.float32] | None = None,
    ) -> Embedding:
        """The embedding of one model, bitwise independent of the order of its evaluations.

        Args:
            q: query encodings, (n, d_q), n >= 1.
            y: scores, (n,), usually in [0, 1]; see `Router.embed`.
            name: of the model, `provider/name`; family, size and version in it say what to expect before any evaluation.
            weights: how many evaluations each one counts as, (n,), at least 0; None: 1 each.

        Raises:
            ValueError: no evaluations, or shapes that do not fit, or a weight below 0.
        """
        known = Evaluations.ordered(q, y, weights, self.features.anchors.shape[1])
        q, y, mass = known.q, known.y, known.weights
        level, level_variance = (0.0, ABILITY_SPREAD**2) if name is None else self.names.level(name)
        features = self.features(q)
        psi = self.features.design(features)  # (n, D)
        mean = psi @ self.mean.astype(np.float32)
        x = self.inputs(q, features, mean)
        without = log_odds(mean)
        odds = without + np.float32(level)
        named = sigmoid(odds)  # P(correct) by the name alone, (n,)
        z = self.network.embed(x, y, named, mass)
        # A place in the space must not depend on the name. Distances are also nearer to differences of P(correct) without it.
        place = z if level == 0 else self.network.embed(x, y, sigmoid(without), mass)
        u, g = self.network.query_terms(x)
        prior = sigmoid(odds + self.network.log_odds(u, self.network.model_terms(z[None]))[:, 0])  # μ, (n,)
        design = np.concatenate([psi, g], axis=1)
        noise = self.network.spread(prior) / mass
        after = posterior(design, (y - prior)[:, None], noise, self.variance(z), self.domain_design)
        plain = posterior(psi, (y - named)[:, None], np.float32(NOISE) / mass, self.readout_variance)
        able = self.general.ability(q, features, y, Ability(level, level_variance), mass)
        return Embedding(
            place,
            z,
            self.joined_coefficients(after.mean[:, 0]),
            self.features.joined_coefficients(plain.mean[:, 0]),
            after.variance,
            able.mean,
            able.variance,
            level,
            max(1, round(known.total)),
        )

    def asked(self, q: NDArray[np.float32], *, graded: bool = False) -> Asked:
        """What predictions need of queries with these encodings, (n, d_q).

        Args:
            graded: see `General.__call__`.
        """
        return self._reader(q, graded=graded)

    def attended(self, q: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encodings, (n, d_q) -> query inputs of the set encoder, (n, d_x), and P(correct) of the mean model, (n,)."""
        features = self.features(q)
        mean = self.features.design(features) @ self.mean.astype(np.float32)
        return self.inputs(q, features, mean), sigmoid(log_odds(mean))

    def variance(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Prior variance of each term of the correction of a model, (D + G,), float64: constant, kinds, kernel, learned
        features.
        """
        ability, kinds, local, learned = self.network.variances(z)
        number = self.features.kinds
        return np.concatenate(
            [
                [ability],
                np.full(number, kinds),
                np.full(self.features.width - 1 - number, local),
                np.full(self.network.feature_count, learned),
            ]
        )

    def shares_of_readout(self, evaluations: NDArray[np.int64]) -> NDArray[np.float32]:
        """The share of the plain read-out in predictions for models with these numbers of evaluations, (M,), float32."""
        share: NDArray[np.float32] = (self.readout_share * evaluations / (evaluations + READOUT_EVALUATIONS)).astype(
            np.float32
        )
        return share

    @cached_property
    def mean_coefficients(self) -> NDArray[np.float32]:
        """The mean model's coefficients on `Features.joined`, (F,), float32."""
        return self.features.joined_coefficients(self.mean)

    @cached_property
    def anchors(self) -> Asked:
        """The anchors as queries, A rows."""
        return self.asked(self.features.anchors)

    @cached_property
    def _reader(self) -> QueryReader:
        return QueryReader(self.features, self.mean_coefficients, self.inputs, self.network, self.general)

    def joined_coefficients(self, w: NDArray[np.float32]) -> NDArray[np.float32]:
        """A correction on ψ and the learned features, (D + G,), as coefficients on `Asked.design`, (F + G,)."""
        plain, learned = np.split(w, [self.features.width])
        return np.append(self.features.joined_coefficients(plain), learned.astype(np.float32))

    def design(self, asked: Asked) -> NDArray[np.float32]:
        """What a correction is linear in at n queries: ψ and the learned features, (n, D + G), float32."""
        return np.concatenate(
            [self.features.design(asked.features), asked.design[:, -self.network.feature_count :]], axis=1
        )

    @cached_property
    def anchor_shares(self) -> NDArray[np.float32]:
        """How much each anchor counts for each domain, (C, A), rows sum to 1: by its posterior."""
        shares = self.anchors.features.domains.T + np.float32(LEAST_SHARE)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    @cached_property
    def domain_design(self) -> NDArray[np.float32]:
        """The mean of ψ and the learned features over the anchors of each domain, (C, D + G).

        A correction times such a row is its mean over that kind of question, whose posterior variance is the squared standard
        error of the model's level there.
        """
        return np.asarray(self.anchor_shares @ self.design(self.anchors), np.float32)
