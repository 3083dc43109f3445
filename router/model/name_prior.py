"""What a model's name lets one expect of its ability, before any evaluation: a Gaussian process over the parts of names.

Names that share a provider, a family, a version near each other, a size, a tier, a role or a reasoning setting have related levels.
The trained models' levels, measured by their evaluations, then say what to expect of another name. numpy only.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from router.model.name_parts import NameParts, parse_name

# What two names can share; `kernels` says how much of it they share, and `NamePrior.scales` how much that matters.
SHARED = (
    "provider",
    "family words",
    "family and version",
    "family and tiers",
    "size",
    "version",
    "size and version",
    "tiers",
    "roles",
    "effort",
)
SIZE_LENGTH = 0.5  # decades of parameters over which levels are alike
VERSION_LENGTH = 0.5  # of log(1 + version), for any two models
FAMILY_VERSION_LENGTH = 0.2  # the same, within a family: 5.4 and 5.6 are alike, 3 and 4 less

Floats = NDArray[np.float64]
Members = Collection[str] | Collection[frozenset[str]]


@dataclass(frozen=True)
class NamePrior:
    """The levels of N trained models and what is needed to relate other names to them.

    A level is a model's deviation from the mean model in log-odds of a right answer:
    P = sigmoid(logit of the mean model's P + level).
    A checkpoint has the arrays under `names.`.

    Attributes:
        names: of the trained models.
        levels: as measured, (N,), float64; their mean is about 0.
        errors: variances of the measurements, (N,), float64, above 0.
        scales: variance of each part of `SHARED`, and last that of what no name tells, (S + 1,), float64.
    """

    names: tuple[str, ...]
    levels: Floats
    errors: Floats
    scales: Floats

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]]) -> "NamePrior":
        """The prior in a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        text = weights["names.text"].astype(np.uint8).tobytes().decode()
        levels, errors, scales = (
            weights[f"names.{name}"].astype(np.float64) for name in ("levels", "errors", "scales")
        )
        return cls(tuple(text.split("\n")), levels, errors, scales)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays for a checkpoint, name -> float32 array; the names as the bytes of one text, a name on each line."""
        text = np.frombuffer("\n".join(self.names).encode(), np.uint8).astype(np.float32)
        arrays = {name: getattr(self, name).astype(np.float32) for name in ("levels", "errors", "scales")}
        return {f"names.{name}": array for name, array in {"text": text, **arrays}.items()}

    def level(self, name: str) -> tuple[float, float]:
        """Expected level of the model of a name and its variance; see `expected`."""
        if name in self._index:
            return self._trained[self._index[name]]
        means, variances = self.expected([name])
        return float(means[0]), float(variances[0])

    def expected(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """Expected levels of models and their variances, before any evaluation, (n,) and (n,), float64.

        For the name of a trained model this is what the other models let one expect: its own evaluations are left out, so that
        training meets the same kind of prior as a new model does. A name that shares nothing has the mean 0 and the full variance.
        """
        parts = [self.placed(parse_name(name)) for name in names]
        relation = np.tensordot(self.scales[:-1], kernels(parts, self._parts), axes=1)  # (n, N)
        inverse, weight = self._solved
        means = relation @ weight
        prior = self.scales[-1] + np.array([self.scales[:-1] @ kernels([part], [part])[:, 0, 0] for part in parts])
        variances = prior - np.einsum("nk,kl,nl->n", relation, inverse, relation)
        for i, name in enumerate(names):
            if name in self._index:  # leaving one out in closed form (Rasmussen and Williams 2006, 5.12)
                own = self._index[name]
                means[i] = self.levels[own] - weight[own] / inverse[own, own]
                variances[i] = 1 / inverse[own, own] - self.errors[own]
            elif self._is_unknown(parts[i]):
                variances[i] = max(variances[i], self._total)
        return means, np.asarray(np.maximum(variances, self.scales[-1]), np.float64)

    def posterior(self) -> Floats:
        """Levels of the trained models, given their evaluations and their names, (N,), float64."""
        shrunk: Floats = self.levels - self.errors * self._solved[1]
        return shrunk

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _trained(self) -> list[tuple[float, float]]:
        """Level and variance of each trained model, by its name alone."""
        means, variances = self.expected(self.names)
        return list(zip(means.tolist(), variances.tolist(), strict=True))

    @cached_property
    def _parts(self) -> list[NameParts]:
        return [parse_name(name) for name in self.names]

    @cached_property
    def _solved(self) -> tuple[Floats, Floats]:
        """Inverse of the covariance of the measured levels, (N, N), and its product with them, (N,)."""
        covariance = np.tensordot(self.scales[:-1], kernels(self._parts, self._parts), axes=1)
        covariance[np.diag_indices(len(covariance))] += self.scales[-1] + self.errors
        inverse = np.asarray(np.linalg.inv(covariance), np.float64)
        return inverse, inverse @ self.levels

    @cached_property
    def _total(self) -> float:
        """Variance of the levels of all models: the measured one less that of the measurements."""
        weight = 1 / (self.errors + self.errors.mean())
        return float(max(np.average(self.levels**2 - self.errors, weights=weight), self.scales[-1]))

    @cached_property
    def _provider_of(self) -> dict[str, str]:
        """Main family -> the provider of most of its models."""
        providers: dict[str, Counter[str]] = {}
        for parts in self._parts:
            providers.setdefault(_main_family(parts), Counter())[parts.provider] += 1
        return {family: counts.most_common(1)[0][0] for family, counts in providers.items() if family}

    def placed(self, parts: NameParts) -> NameParts:
        """The parts with the family's usual provider in place of an unknown one, such as the name of a cloud or a gateway."""
        if parts.provider in {known.provider for known in self._parts}:
            return parts
        return replace(parts, provider=self._provider_of.get(_main_family(parts), parts.provider))

    def _is_unknown(self, parts: NameParts) -> bool:
        """True if the name has no size, and its provider and families are not among the trained models'."""
        known = {word for trained in self._parts for word in (*trained.families, f"{trained.provider}/")}
        return parts.size_b is None and not known & {*parts.families, f"{parts.provider}/"}


def kernels(a: Sequence[NameParts], b: Sequence[NameParts]) -> Floats:
    """How much two names share of each of `SHARED`, (S, n, m), float64, positive semidefinite if a and b are the same.

    A part that a name does not state is shared with no other name; only a missing version is, with one of the same family.
    """
    same_provider = _overlap([_set(part.provider) for part in a], [_set(part.provider) for part in b])
    same_family = _overlap([_set(_main_family(part)) for part in a], [_set(_main_family(part)) for part in b])
    same_tiers = _overlap([{part.tiers} for part in a], [{part.tiers} for part in b])
    words = _overlap([part.families for part in a], [part.families for part in b], norm=True)
    near_size = _near(_sizes(a), _sizes(b), SIZE_LENGTH)
    versions_a, versions_b = _versions(a), _versions(b)
    near_version = _near(versions_a, versions_b, VERSION_LENGTH)
    step = np.exp(-np.abs(versions_a[:, None] - versions_b) / FAMILY_VERSION_LENGTH)
    both_missing = np.isnan(versions_a)[:, None] & np.isnan(versions_b)
    family_version = same_family * np.where(both_missing, 1.0, np.nan_to_num(step, nan=0.0))
    return np.stack(
        [
            same_provider,
            words,
            family_version,
            same_family * same_tiers,
            near_size,
            near_version,
            near_size * near_version,
            _overlap([part.tiers for part in a], [part.tiers for part in b]),
            _overlap([part.roles for part in a], [part.roles for part in b]),
            np.outer([part.effort or 0.0 for part in a], [part.effort or 0.0 for part in b]),
        ]
    )


def _main_family(parts: NameParts) -> str:
    return parts.families[0] if parts.families else ""


def _set(word: str) -> set[str]:
    return {word} if word else set()


def _sizes(names: Sequence[NameParts]) -> Floats:
    """log10 of the parameters in billions, (n,); NaN where the name does not say it."""
    return np.log10([np.nan if parts.size_b is None else parts.size_b for parts in names])


def _versions(names: Sequence[NameParts]) -> Floats:
    """log(1 + version), (n,); NaN where the name does not say it."""
    return np.log1p([np.nan if parts.version is None else parts.version for parts in names])


def _near(a: Floats, b: Floats, length: float) -> Floats:
    """A Gaussian of the distances between all pairs, (n, m); 0 where one is NaN."""
    near: Floats = np.nan_to_num(np.exp(-(((a[:, None] - b) / length) ** 2) / 2), nan=0.0)
    return near


def _overlap(a: Sequence[Members], b: Sequence[Members], *, norm: bool = False) -> Floats:
    """Number of common members of all pairs of sets, (n, m); with `norm` divided by the square roots of both sizes."""
    column = {member: i for i, member in enumerate(dict.fromkeys(member for members in a for member in members))}
    rows = []
    for side in (a, b):
        row = np.zeros((len(side), len(column)))
        for i, members in enumerate(side):
            for member in members:
                if member in column:  # what no set of `a` has is common to no pair
                    row[i, column[member]] = 1 / math.sqrt(len(members)) if norm else 1.0
        rows.append(row)
    product: Floats = rows[0] @ rows[1].T
    return product
