"""What is known of models: their evaluations, predicted accuracies with standard errors, and what of it was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.anchors import Anchors
from router.model.embedding import Embeddings
from router.model.locus import Locus
from router.model.predictor import Predictor

# An accuracy with a smaller standard error was measured: the model has evaluations of this kind of question. In the shipped space
# this finds nearly all benchmarks that models were evaluated on, and few others.
MEASURED = 0.1
FEW = 64  # with fewer evaluations an accuracy is mostly a guess


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A predicted accuracy.

    Attributes:
        mean: in [0, 1].
        standard_error: errors on one kind of question go together, so it is the mean of those of all kinds.
        measured: it follows from evaluations of this kind of question; False: from other kinds, or from the name.
    """

    mean: float
    standard_error: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """What is known of a model.

    Attributes:
        evaluations: 0 for a borrowed embedding.
        relative: name of the model whose embedding it borrows; None: it has its own.
        accuracy: over all anchors.
        benchmarks: by name.
    """

    model: str
    evaluations: int
    relative: str | None
    accuracy: Accuracy
    benchmarks: dict[str, Accuracy]

    @property
    def few(self) -> bool:
        """It has too few evaluations to be known."""
        return self.evaluations < FEW


def overviews(
    locus: Locus, anchors: Anchors, names: Sequence[str], embeddings: Embeddings, relatives: Sequence[str | None]
) -> list[Overview]:
    """What is known of M models, in their order.

    Args:
        anchors: of the checkpoint.
        names, relatives: M of each; see `Overview`.
        embeddings: M rows.
    """
    asked = locus.asked(anchors.q, graded=True)
    p = Predictor(locus, embeddings).predict_asked(asked).p_correct  # (A, M)
    # Of the mean over a kind of question, not of a single query.
    errors = np.sqrt(asked.features.domains @ embeddings.variances.T)  # (A, M)
    means, of_means = anchors.means(p), anchors.means(errors)
    found = []
    for m, (name, relative) in enumerate(zip(names, relatives, strict=True)):
        own = relative is None
        benchmarks = {b: _accuracy(means[b][m], of_means[b][m], own=own) for b in means}
        whole = _accuracy(_mean(p[:, m]), _mean(errors[:, m]), own=own)
        evaluations = int(embeddings.evaluations[m]) if own else 0
        found.append(Overview(name, evaluations, relative, whole, benchmarks))
    return found


def _accuracy(mean: float, error: float, *, own: bool) -> Accuracy:
    return Accuracy(float(mean), float(error), own and float(error) <= MEASURED)


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64))
