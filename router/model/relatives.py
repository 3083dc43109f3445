"""Embeddings for models that were never evaluated, from the model whose name is most like theirs. numpy only.

Family, version, size, tiers and role in a name say which model of the space is the nearest relative, and what to expect of the
difference in ability. The relative's embedding is moved by that difference, and its standard errors grow by what names leave open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.locus import Locus
from router.model.model_families import chat_name
from router.model.model_names import identity
from router.model.name_parts import NameParts, parse_name
from router.model.name_prior import kernels
from router.model.network import sigmoid
from router.model.space import ModelSpace

# Measured by research/measure_relatives.py: each model of the shipped space, from the models of other names.
SHIFT = 0.75  # of the expected difference in ability, by which the relative's embedding is moved
KEPT = 0.5  # of what the relative's evaluations say beyond its ability
SPREAD = 1.25  # of the variance that names leave; one standard error covers about 68% of the models then


@dataclass(frozen=True, slots=True)
class Relative:
    """The nearest relative of a model by name.

    Attributes:
        name: in the model space.
        likeness: correlation of the levels that the two names suggest, at most 1.
    """

    name: str
    likeness: float


class Relatives:
    """The models of a space as relatives of others. What was found and borrowed is kept, since names are compared in some 10 ms."""

    def __init__(self, locus: Locus, space: ModelSpace) -> None:
        self._locus = locus
        self._space = space
        self._row = {name: i for i, name in enumerate(space.models)}
        self._nearest: dict[str, Relative | None] = {}
        self._borrowed: dict[tuple[str, str], Embedding] = {}

    def find(self, names: Sequence[str]) -> tuple[str, Relative] | None:
        """The first name of a model that says what it is, and the nearest relative by it.

        Returns:
            None if no name shares a family with the models of the space, or states a size. Names that say nothing certain, such as
            `gpt-4o` of a server that is not OpenAI's, are left out.
        """
        for name in names:
            if name not in self._nearest:
                self._nearest[name] = self._find(name)
            if (nearest := self._nearest[name]) is not None:
                return name, nearest
        return None

    def borrow(self, name: str, relative: str) -> Embedding:
        """The embedding of a model without evaluations.

        Args:
            name: of the model.
            relative: full name in the space of the model whose embedding it borrows.
        """
        if (name, relative) not in self._borrowed:
            self._borrowed[name, relative] = self._borrow(name, relative)
        return self._borrowed[name, relative]

    def _borrow(self, name: str, relative: str) -> Embedding:
        of = self._space.embeddings.row(self._row[relative])
        level, left = self._locus.names.expected([chat_name(name)])
        shift = np.float32(SHIFT * (level[0] - self._level(relative)))
        variance = np.float32(SPREAD * left[0])  # of the ability, log odds
        kept = np.float32(KEPT)
        # An error of the ability moves P(correct) by this much in each kind of question.
        p = sigmoid(self._locus.anchors.odds + np.float32(of.level) + shift)  # (A,)
        slopes = self._locus.anchor_shares @ (p * (1 - p)) ** 2  # (C,)
        return replace(
            of,
            correction=kept * of.correction,
            readout=kept * of.readout,
            variances=of.variances + variance * slopes.astype(np.float32),
            ability=float(of.ability + shift),
            ability_variance=float(of.ability_variance + variance),
            level=float(of.level + shift),
        )

    def _find(self, name: str) -> Relative | None:
        parts = self._locus.names.placed(parse_name(chat_name(name)))
        if not identity(name).certain or (parts.size_b is None and self._families.isdisjoint(parts.families)):
            return None
        scales = self._locus.names.scales[:-1]
        shared = np.tensordot(scales, kernels([parts], self._parts), axes=1)[0]  # (M,)
        own = float(scales @ kernels([parts], [parts])[:, 0, 0])
        likeness = shared / np.sqrt(np.maximum(own * self._own, 1e-12))
        best = int(np.argmax(likeness))
        return Relative(self._space.models[best], float(likeness[best]))

    def _level(self, relative: str) -> float:
        """The level of a model of the space, given its evaluations if the checkpoint was trained on them."""
        levels = self._trained
        return levels[relative] if relative in levels else float(self._locus.names.expected([relative])[0][0])

    @cached_property
    def _trained(self) -> dict[str, float]:
        names = self._locus.names
        return dict(zip(names.names, names.posterior().tolist(), strict=True))

    @cached_property
    def _parts(self) -> list[NameParts]:
        return [self._locus.names.placed(parse_name(name)) for name in self._space.models]

    @cached_property
    def _families(self) -> set[str]:
        return {family for parts in self._parts for family in parts.families}

    @cached_property
    def _own(self) -> NDArray[np.float64]:
        """The variance of each model's level that its name states, (M,)."""
        scales = self._locus.names.scales[:-1]
        return np.array([scales @ kernels([part], [part])[:, 0, 0] for part in self._parts], np.float64)
