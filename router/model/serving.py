"""The router as a running gateway needs it: encode, predict, measure distances. numpy and a tokenizer, no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder
from router.encode.load import PRETRAINED
from router.errors import ArtifactError
from router.model.checkpoint import Checkpoint, load_checkpoint
from router.model.evidence import Evidence, evidence_file
from router.model.locus import Locus
from router.model.predictor import Prediction, Predictor
from router.model.space import ModelSpace

SPACE = PRETRAINED / "space.safetensors"


class Scorer:
    """P(correct) of a portfolio's models; everything that does not depend on the query is computed once."""

    def __init__(self, models: Sequence[str], predictor: Predictor) -> None:
        self.models = tuple(models)
        self._predictor = predictor

    def predict(self, q: NDArray[np.float32]) -> Prediction:
        """(n, d_q) query encodings -> predictions for n queries, columns in the order of `models`."""
        return self._predictor.predict(q)

    def p_correct(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d_q) query encodings -> (n, M) probabilities in [0, 1], columns in the order of `models`."""
        return self.predict(q).p_correct


class Router:
    """A checkpoint with its query encoder, a model space, and the evidence beside it."""

    def __init__(self, checkpoint: Checkpoint, encoder: QueryEncoder, space: ModelSpace, evidence: Evidence) -> None:
        self.encoder = encoder
        self.space = space
        self.evidence = evidence
        self._checkpoint = checkpoint
        self._locus = Locus.restore(checkpoint.weights, checkpoint.card["config"])

    @property
    def card(self) -> Mapping[str, Any]:
        return self._checkpoint.card

    @classmethod
    def load(cls, checkpoint: Path | None = None, spaces: Sequence[Path] = (), *, trust: bool = False) -> "Router":
        """Reads the artefacts.

        Args:
            checkpoint: folder; None takes the shipped one.
            spaces: model spaces of that checkpoint, later ones over earlier; the shipped checkpoint brings its own space
                as the first.
            trust: as of `load_checkpoint`.

        Raises:
            ArtifactError: something is unreadable, or they do not belong together.
        """
        own = [SPACE] if checkpoint is None else []
        return cls.of(load_checkpoint(checkpoint, trust=trust), [*own, *spaces])

    @classmethod
    def of(cls, loaded: Checkpoint, spaces: Sequence[Path]) -> "Router":
        """A loaded checkpoint with these model spaces and no other; see `load`."""
        merged = None
        for path in spaces:
            space = ModelSpace.load(path)
            if space.checkpoint != loaded.id:
                raise ArtifactError(
                    f"{path}: made by checkpoint {space.checkpoint[:12]}, not by {loaded.id[:12]} in {loaded.folder}; "
                    "make it again by `locus embed`"
                )
            merged = space if merged is None else merged.merged(space)
        if merged is None:
            raise ArtifactError(f"{loaded.folder}: needs a model space; make one by `locus embed`")
        encoder = loaded.encoder()
        return cls(loaded, encoder, merged, Evidence([evidence_file(path) for path in spaces], encoder.hash))

    def scorer(self, models: Sequence[str]) -> Scorer:
        """Predictions for these models of the space.

        Raises:
            ArtifactError: names every model that the space lacks, with the closest names that it has.
        """
        rows = self.space.rows(models)
        return Scorer(models, Predictor(self._locus, self.space.coefficients[rows], self.space.variances[rows]))
