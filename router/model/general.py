"""The general term: P(correct) of a prompt that resembles no evaluated one. numpy only: the serving process computes this.

    P_general = c + (1 - c) σ(ability - difficulty(x))

The difficulty depends on the prompt alone, the ability on the model alone; c is the chance of a guess among options in the
prompt. Where a prompt resembles the training queries, P(correct) is that of its kind of question; elsewhere it is P_general, so
that differences between models shrink to their general differences and the standard error grows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from router.encode.surface import OPTIONS_COLUMN, OPTIONS_SCALE
from router.model.ability import UNKNOWN, Ability, Answers, fit_ability
from router.model.features import SURFACE_CLIP, Features

KNOTS = (-SURFACE_CLIP, -1.0, 0.0, 1.0)  # of the piecewise linear functions of each standardised surface statistic
HEADS = 2  # difficulty, and log odds of an exam question
EASIEST = -4.0  # logits; no prompt is easier: P(correct) above 98% for a mean model would claim more than is known
RELATIVE = 0.3  # evaluations that a relative benchmark made with this probability do not count for the ability
_NAMES = (
    "mean",
    "scale",
    "text",
    "surface",
    "intercept",
    "centres",
    "background",
    "familiar",
    "spread",
    "difficulty",
    "floor",
    "discrimination",
    "absolute",
)


@dataclass(frozen=True)
class GeneralTerms:
    """What the general term says of n prompts.

    Attributes:
        familiarity: w, (n,), float32, in [0, 1]: 1 where the prompt is like the training queries.
        difficulty: (n,), float32, logits: a model of this ability answers every second prompt of this difficulty well.
        floor: c, (n,), float32: the chance of a guess; 0 where the prompt shows no options.
    """

    familiarity: NDArray[np.float32]
    difficulty: NDArray[np.float32]
    floor: NDArray[np.float32]


@dataclass(frozen=True)
class General:
    """A fitted general term. A checkpoint has these arrays under `general.`, all float32.

    Several functions of a prompt are linear in its text encoding and piecewise linear in its surface statistics: its difficulty,
    the log odds that it is an exam question, as benchmarks have, rather than a user's request, and K discriminants, the
    directions in which benchmarks differ most against the spread within them (Fisher).

    Familiarity is a density ratio (relative Mahalanobis distance, Ren et al. 2021): the squared distance to the nearest benchmark
    less that to the centre of all queries. The distances differ in the discriminants only, all other directions cancel.

    Attributes:
        mean, scale: of the surface statistics, (S,).
        text: coefficients on the text encoding, (text_dim, 2 + K).
        surface: coefficients on max(z, knot) of each statistic z, knots outermost, (len(KNOTS) · S, 2 + K).
        intercept: (2 + K,).
        centres: of the benchmarks in the discriminants, (B, K).
        background: precision of the discriminants over all benchmarks, (K,); within a benchmark it is 1.
        familiar: slope, at most 0, and intercept of the log odds of familiarity in that difference of distances, (2,).
        spread: v, (1,): the variance of the true P(correct) around P_general on an unknown kind of question is v p (1 - p), as
            that of a Beta distribution is.
        difficulty: mean difficulty of the queries of each domain, (C,).
        floor: the chance of a guess in each benchmark that does not print its options, (B,).
        discrimination: how much the scores of each benchmark depend on general ability, (B,), about 1.
        absolute: 0 for benchmarks whose scores compare answers with a reference, 1 for all others, (B,).
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    text: NDArray[np.float32]
    surface: NDArray[np.float32]
    intercept: NDArray[np.float32]
    centres: NDArray[np.float32]
    background: NDArray[np.float32]
    familiar: NDArray[np.float32]
    spread: NDArray[np.float32]
    difficulty: NDArray[np.float32]
    floor: NDArray[np.float32]
    discrimination: NDArray[np.float32]
    absolute: NDArray[np.float32]

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]]) -> "General":
        """The general term in a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        return cls(**{name: np.asarray(weights[f"general.{name}"], np.float32) for name in _NAMES})

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays for a checkpoint, name -> float32 array."""
        return {f"general.{name}": np.ascontiguousarray(getattr(self, name), np.float32) for name in _NAMES}

    def __call__(self, q: NDArray[np.float32], *, graded: bool = False) -> GeneralTerms:
        """The terms of n prompts.

        Args:
            q: query encodings, (n, d_q), float32.
            graded: predict the score that a benchmark's grader would give, so that familiarity depends on the distance alone.
                False: predict how well a user is served; a request that is no exam question is unfamiliar then.
        """
        width = len(self.text)
        surface = q[:, width:]
        heads = basis(surface, self.mean, self.scale) @ self.surface
        heads += q[:, :width] @ self.text
        heads += self.intercept
        return self.terms(heads, surface, graded=graded)

    def terms(self, heads: NDArray[np.float32], surface: NDArray[np.float32], *, graded: bool) -> GeneralTerms:
        """As `__call__`, from difficulty, exam odds and discriminants, (n, 2 + K), and the surface statistics, (n, S)."""
        unfamiliar = np.exp(np.minimum(self._remoteness(heads[:, HEADS:]), _LARGEST))
        unfamiliar += _ONE  # 1 / σ
        if not graded:
            unfamiliar *= np.exp(np.minimum(-heads[:, 1], _LARGEST)) + _ONE
        return GeneralTerms(np.reciprocal(unfamiliar), np.maximum(heads[:, 0], _EASIEST), option_floor(surface))

    def ability(
        self,
        q: NDArray[np.float32],
        features: Features,
        y: NDArray[np.float32],
        prior: Ability = UNKNOWN,
        weights: NDArray[np.float32] | None = None,
    ) -> Ability:
        """The general ability of one model, bitwise independent of the order of its evaluations.

        Args:
            q: query encodings, (n, d_q), float32.
            features: of the same queries; posteriors that are 0 and 1 where the benchmark and the domain are known.
            y: scores, (n,), in [0, 1].
            prior: the ability expected of the model before its evaluations.
            weights: how many evaluations each one counts as, (n,); None: 1 each.
        """
        terms = self(
            q
        )  # not as graded: a trivial request that was passed says little, whichever benchmark it resembles
        of_kind = features.domains @ self.difficulty
        known = Answers(
            y=y.astype(np.float64),
            difficulty=(terms.difficulty + terms.familiarity * (of_kind - terms.difficulty)).astype(np.float64),
            floor=np.maximum(terms.floor, features.benchmarks @ self.floor).astype(np.float64),
            kind=features.benchmarks.argmax(axis=1),
            weight=np.ones(len(y)) if weights is None else weights.astype(np.float64),
        )
        counted = features.benchmarks @ (1 - self.absolute) < RELATIVE
        return fit_ability(known.where(counted), self.discrimination.astype(np.float64), prior)

    def combine(
        self,
        terms: GeneralTerms,
        p_kind: NDArray[np.float32],
        variance_kind: NDArray[np.float32],
        ability: NDArray[np.float32],
        ability_variance: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """P = w P_kind + (1 - w) P_general, and its variance, mixed in the same way.

        Args:
            terms: of n prompts.
            p_kind, variance_kind: P(correct) of M models as queries of a known kind, and its squared standard error, (n, M).
            ability, ability_variance: of the models, (M,), float32.

        Returns:
            P(correct) and its squared standard error, (n, M), float32.
        """
        w = terms.familiarity[:, None]
        p = np.exp(terms.difficulty[:, None] - ability)
        p += _ONE
        np.reciprocal(p, out=p)  # σ(ability - difficulty)
        wrong = _ONE - p
        spread = p * wrong
        variance = spread * ability_variance
        variance += self.spread
        variance *= spread
        p += terms.floor[:, None] * wrong
        p += w * (p_kind - p)
        variance += w * (variance_kind - variance)
        return p, variance

    def _remoteness(self, discriminants: NDArray[np.float32]) -> NDArray[np.float32]:
        """The log odds that prompts are unlike all training queries, (n, K) -> (n,)."""
        weights, constants, precision = self._distances
        odds: NDArray[np.float32] = (constants - discriminants @ weights).min(axis=1)
        odds += (discriminants * discriminants) @ precision
        return odds

    @cached_property
    def _distances(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What the log odds of unfamiliarity are made of: -(slope · distance + intercept) with the distance
        min |y - centre|² - |y|² · background, as (K, B), (B,) and (K,).
        """
        steepness, odds = -self.familiar
        weights = np.ascontiguousarray(2 * steepness * self.centres.T)
        return weights, steepness * (self.centres**2).sum(axis=1) + odds, steepness * (1 - self.background)


def basis(surface: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """max(z, knot) of each standardised surface statistic z and each knot, (n, S) -> (n, len(KNOTS) · S), float32."""
    z = (surface - mean) / scale
    np.minimum(z, _CLIP, out=z)
    hinges: NDArray[np.float32] = np.maximum(z[:, None], _KNOTS).reshape(len(z), z.shape[1] * len(KNOTS))
    return hinges


def option_floor(surface: NDArray[np.float32]) -> NDArray[np.float32]:
    """The chance of a guess among the options that a prompt shows, (n, S) -> (n,), float32; 0 with fewer than two options."""
    options = np.rint(surface[:, OPTIONS_COLUMN] * _OPTIONS)
    floor: NDArray[np.float32] = (options > 1) / np.maximum(options, _ONE)
    return floor


_KNOTS = np.array(KNOTS, np.float32)[:, None]
_LARGEST = np.float32(40)  # log odds; two such factors stay finite in float32
_CLIP, _OPTIONS, _ONE, _EASIEST = (np.float32(number) for number in (SURFACE_CLIP, OPTIONS_SCALE, 1, EASIEST))
