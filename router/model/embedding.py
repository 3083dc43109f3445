"""The embedding of a model, and of many models: the place in the space, and what predictions need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

ARRAYS = (
    "z",
    "named",
    "correction",
    "readout",
    "variances",
    "ability",
    "ability_variance",
    "level",
)  # of `Embeddings`, float32


@dataclass(frozen=True)
class Embedding:
    """The embedding of one model.

    Attributes:
        z: (128,), float32: the place in the model space. The Euclidean distance between two models approximates the
            root mean square difference of their P(correct). It comes from the evaluations alone: equal evaluations under two
            names give one place.
        named: (128,), float32: what attention says of the evaluations and the level that the name suggests. Predictions use
            this one. Without a name it is z.
        correction: (F + G,), float32: the coefficients of δ on `Asked.design`.
        readout: (F,), float32: the plain read-out of what the mean model and the name leave unexplained, on
            `Features.joined`.
        variances: (C,), float32: squared standard error of the model's mean P(correct) in each domain.
        ability: general ability, log odds; what P(correct) of a prompt that resembles no evaluated one depends on.
        ability_variance: its squared standard error.
        level: log odds by which the model's name suggests that it differs from the mean model; 0 without a name.
        evaluations: the number of evaluations it was computed from.
    """

    z: NDArray[np.float32]
    named: NDArray[np.float32]
    correction: NDArray[np.float32]
    readout: NDArray[np.float32]
    variances: NDArray[np.float32]
    ability: float
    ability_variance: float
    level: float
    evaluations: int


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of M models: the arrays of `Embedding` with M rows. Abilities and levels are (M,), float32,
    `evaluations` (M,), int64.
    """

    z: NDArray[np.float32]
    named: NDArray[np.float32]
    correction: NDArray[np.float32]
    readout: NDArray[np.float32]
    variances: NDArray[np.float32]
    ability: NDArray[np.float32]
    ability_variance: NDArray[np.float32]
    level: NDArray[np.float32]
    evaluations: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def of(cls, parts: Sequence[Embedding]) -> "Embeddings":
        """At least one embedding, in order."""
        columns = {field.name: np.stack([getattr(part, field.name) for part in parts]) for field in fields(Embedding)}
        return cls.of_arrays(columns)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.number]]) -> "Embeddings":
        """Embeddings from arrays by the names of the attributes.

        Raises:
            KeyError: an array is missing.
            ValueError: the arrays do not have the same number of rows.
        """
        found = {name: np.ascontiguousarray(arrays[name], np.float32) for name in ARRAYS}
        evaluations = np.ascontiguousarray(arrays["evaluations"], np.int64)
        if {len(array) for array in found.values()} != {len(evaluations)}:
            raise ValueError("the arrays of embeddings differ in their numbers of rows")
        return cls(**found, evaluations=evaluations)

    def row(self, index: int) -> Embedding:
        """One embedding."""
        return Embedding(
            self.z[index],
            self.named[index],
            self.correction[index],
            self.readout[index],
            self.variances[index],
            float(self.ability[index]),
            float(self.ability_variance[index]),
            float(self.level[index]),
            int(self.evaluations[index]),
        )

    def arrays(self) -> dict[str, NDArray[np.number]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "Embeddings":
        """The embeddings in these rows."""
        index = np.asarray(rows, np.int64)
        return Embeddings.of_arrays({name: array[index] for name, array in self.arrays().items()})

    def followed_by(self, other: "Embeddings") -> "Embeddings":
        """These embeddings, then the others."""
        ours, theirs = self.arrays(), other.arrays()
        return Embeddings.of_arrays({name: np.concatenate([ours[name], theirs[name]]) for name in ours})

    def widths(self) -> dict[str, tuple[int, ...]]:
        """The shape of one model's arrays, by name."""
        return {name: array.shape[1:] for name, array in self.arrays().items()}
