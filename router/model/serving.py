"""The router in use: encodes queries, predicts P(correct) of models, embeds models, and measures distances.

The gateway and the Python API use the same class. Predictions need numpy and a tokenizer, and never load torch; embedding a
model also needs scipy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from router.encode.encoder import QueryEncoder
from router.encode.load import PRETRAINED
from router.errors import ArtifactError
from router.extras import require
from router.model.checkpoint import SPACE_FILE, Checkpoint, load_checkpoint
from router.model.evidence import Evidence, evidence_file
from router.model.locus import Embedding, Locus
from router.model.predictor import Prediction, Predictor
from router.model.space import ModelSpace, Neighbor

SPACE = PRETRAINED / SPACE_FILE
T = TypeVar("T")


class Scorer:
    """P(correct) of a fixed list of models. Everything that does not depend on the query is computed once.

    Attributes:
        models: M names.
    """

    def __init__(self, models: Sequence[str], predictor: Predictor) -> None:
        self.models = tuple(models)
        self._predictor = predictor

    def predict(self, q: NDArray[np.float32]) -> Prediction:
        """Query encodings, (n, d_q), float32 -> predictions for n queries, columns in the order of `models`."""
        return self._predictor.predict(q)

    def p_correct(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """Query encodings, (n, d_q), float32 -> P(correct), (n, M), float32, columns in the order of `models`."""
        return self.predict(q).p_correct


class Router:
    """A checkpoint with its query encoder, its model space, and the evaluated queries beside the space.

    Read one with `Router.load()`. A router does not change after loading, and threads may share it.

    Attributes:
        encoder: the query encoder; `encoder.encode(texts)` gives query encodings, (n, d_q), float32.
        space: the embeddings of the known models; `space.models` has their names.
        evidence: evaluated queries near a request, which explain a choice.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: QueryEncoder, space: ModelSpace, evidence: Evidence) -> None:
        self.encoder = encoder
        self.space = space
        self.evidence = evidence
        self._checkpoint = checkpoint
        self._locus = Locus.restore(checkpoint.weights, checkpoint.card["config"])

    @property
    def card(self) -> Mapping[str, Any]:
        """The card of the checkpoint: data, licences, encoder and accuracy."""
        return self._checkpoint.card

    @classmethod
    def load(
        cls, checkpoint: Path | str | None = None, spaces: Sequence[Path | str] = (), *, trust: bool = False
    ) -> "Router":
        """Reads a checkpoint and its model spaces from disk. Uses no network.

        Args:
            checkpoint: folder of the checkpoint; None: the shipped one.
            spaces: files of model spaces of that checkpoint. If two contain the same model, the later one counts. The shipped
                checkpoint adds its own space as the first one; any other checkpoint needs at least one.
            trust: allow an encoder whose files may run code; see `load_checkpoint`.

        Raises:
            ArtifactError: a file is missing or unreadable, or checkpoint, encoder and spaces do not belong together.
            MissingPackage: the encoder needs a package that is not installed.
        """
        own = [SPACE] if checkpoint is None else []
        folder = None if checkpoint is None else Path(checkpoint)
        return cls.with_spaces(load_checkpoint(folder, trust=trust), [*own, *map(Path, spaces)])

    @classmethod
    def with_spaces(cls, loaded: Checkpoint, spaces: Sequence[Path]) -> "Router":
        """A router of a loaded checkpoint with exactly these model spaces.

        Raises:
            ArtifactError: as for `load`.
        """
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
        """Prepares predictions for these models of the space. Keep it when you predict for the same models again.

        Raises:
            ArtifactError: names every model that the space lacks, with the closest names that it has.
        """
        rows = self.space.rows(models)
        return Scorer(models, Predictor(self._locus, self.space.coefficients[rows], self.space.variances[rows]))

    def predict(
        self, texts: Sequence[str] | NDArray[np.floating], models: Sequence[str | Embedding] | None = None
    ) -> Prediction:
        """Predicts the probability that each model answers each query correctly.

        Every call prepares the predictions for its models again, which takes about a millisecond; `scorer` does it once.

        Args:
            texts: n queries as text, or their encodings, (n, d_q), float.
            models: M models: names in the space, written in full or without provider and date, or embeddings that `embed`
                returned. None: all models of the space, in its order.

        Returns:
            `p_correct`, (n, M), float32, in [0, 1], columns in the order of `models`; `standard_error`, (n, M), float32, of
            p_correct; `guarded`, (n,), bool: for this query, training found no choice that beats the model with the best mean.

        Raises:
            ArtifactError: names every model that the space lacks, with the closest names that it has.
            TypeError: `texts` or `models` is a single string.
            ValueError: the encodings or an embedding do not have the widths of this checkpoint, or `models` is empty.
        """
        q = self._encodings(texts)
        known = self.space.models if models is None else _sequence("models", models)
        if not known:
            raise ValueError("models is empty")
        names = [model for model in known if isinstance(model, str)]
        rows = iter(self.space.rows(names).tolist())
        coefficients, variances = [], []  # of each model: (F,) and (C,), float32
        for model in known:
            if isinstance(model, str):
                row = next(rows)
                coefficients.append(self.space.coefficients[row])
                variances.append(self.space.variances[row])
            else:
                self._check_widths(model)
                coefficients.append(model.coefficients)
                variances.append(model.variances)
        return Predictor(self._locus, np.stack(coefficients), np.stack(variances)).predict(q)

    def embed(self, texts: Sequence[str] | NDArray[np.floating], scores: ArrayLike) -> Embedding:
        """Embeds one model from its evaluations: one closed-form pass without training, about 0.1 s for 128 evaluations.

        The order of the evaluations does not matter, and equal evaluations give equal bytes on one kind of CPU. About 128
        evaluations on various queries are enough for a useful embedding.

        Args:
            texts: the n queries that the model answered, as text, or their encodings, (n, d_q), float.
            scores: the score of each answer, (n,), in [0, 1]: 0 is wrong, 1 is correct.

        Returns:
            An embedding, which `predict` and `neighbors` accept in place of a name. It belongs to this checkpoint.

        Raises:
            MissingPackage: scipy is not installed.
            TypeError: `texts` is a single string.
            ValueError: there are no evaluations, the numbers of texts and scores differ, or a score is not in [0, 1].
        """
        require("scipy", extra="plot")
        y = np.asarray(scores, np.float32)
        q = self._encodings(texts)
        if y.shape != (len(q),):
            raise ValueError(f"{len(q)} texts, but scores of shape {y.shape}; expected one score for each text")
        wrong = np.flatnonzero(~((y >= 0) & (y <= 1)))  # NaN is wrong too
        if len(wrong):
            raise ValueError(f"score {int(wrong[0])} is {y[wrong[0]]}, expected a number from 0 to 1")
        return self._locus.embed(q, y)

    def neighbors(self, model: str | Embedding, k: int | None = 10) -> list[Neighbor]:
        """The models of the space that behave most like a model, the nearest first; ties by name.

        Args:
            model: a name in the space, which is left out of the answer, or an embedding that `embed` returned.
            k: number of models; None: all.

        Returns:
            Names and Euclidean distances between embeddings. A distance is a root mean square difference of P(correct) over
            many kinds of question, so 0.1 means that the two models' chances differ by about ten points.

        Raises:
            ArtifactError: the space lacks the model; the message has the closest names that it has.
            ValueError: the embedding does not have the widths of this checkpoint.
        """
        if isinstance(model, str):
            return self.space.neighbors(model, k)
        self._check_widths(model)
        return self.space.nearest(model.z, k)

    def _encodings(self, texts: Sequence[str] | NDArray[np.floating]) -> NDArray[np.float32]:
        """Query encodings of texts, or the checked encodings themselves, (n, d_q), float32."""
        if not isinstance(texts, np.ndarray):
            return self.encoder.encode(list(_sequence("texts", texts)))
        if texts.dtype.kind != "f":
            return self.encoder.encode([str(text) for text in texts])  # an array of texts
        if texts.ndim != 2 or texts.shape[1] != self.encoder.dim:
            raise ValueError(f"expected encodings of shape (n, {self.encoder.dim}), got {texts.shape}")
        return np.ascontiguousarray(texts, np.float32)

    def _check_widths(self, model: Embedding) -> None:
        """
        Raises:
            ValueError: the arrays of the embedding are not as wide as those of the space.
        """
        widths = (model.z.shape, model.coefficients.shape, model.variances.shape)
        expected = tuple(array.shape[1:] for array in (self.space.z, self.space.coefficients, self.space.variances))
        if widths != expected:
            raise ValueError(f"the embedding has the shapes {widths}, this checkpoint has {expected}")


def _sequence(name: str, values: Sequence[T]) -> Sequence[T]:
    """The values themselves.

    Raises:
        TypeError: they are a single string, whose characters would be taken for values.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} is a single string, expected a sequence of them")
    return values
