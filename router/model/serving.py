"""The router in use: encodes queries, predicts P(correct) of models, embeds models, and measures distances.

The gateway and the Python API use the same class. Predicting and embedding need numpy and a tokenizer, and never load
torch.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from router.encode.encoder import QueryEncoder
from router.encode.load import PRETRAINED
from router.errors import ArtifactError
from router.model.anchors import Anchors, load_anchors
from router.model.checkpoint import SPACE_FILE, Checkpoint, load_checkpoint
from router.model.embedding import Embedding, Embeddings
from router.model.evidence import Evidence, evidence_file
from router.model.inputs import as_wide, checked_scores, encodings_of, sequence
from router.model.locus import Locus
from router.model.predictor import Prediction, Predictor
from router.model.refinement import numbers_by_domain, refined
from router.model.relatives import Relatives
from router.model.scorer import Scorer
from router.model.space import ModelSpace, Neighbor, by_distance

SPACE = PRETRAINED / SPACE_FILE


class Router:
    """A checkpoint with its query encoder, its model space, and the evaluated queries beside the space.

    Read one with `Router.load()`. A router does not change after loading, and threads may share it.

    Attributes:
        encoder: the query encoder; `encoder.encode(texts)` gives query encodings, (n, d_q), float32.
        space: the embeddings of the known models; `space.models` has their names.
        evidence: evaluated queries near a request, which explain a choice.
        locus: the weights.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: QueryEncoder, space: ModelSpace, evidence: Evidence) -> None:
        self.encoder = encoder
        self.space = space
        self.evidence = evidence
        self._checkpoint = checkpoint
        self.locus = Locus.restore(checkpoint.weights, checkpoint.card["config"])

    @property
    def checkpoint(self) -> str:
        """The id of the checkpoint: the SHA-256 of its weights."""
        return self._checkpoint.id

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
            spaces: files of model spaces of that checkpoint. If two contain the same model, the later one counts. The
                shipped checkpoint adds its own space as the first one; any other checkpoint needs at least one.
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

    def joined(self, models: ModelSpace) -> "Router":
        """This router with more models, or with other embeddings of models that its space has.

        Raises:
            ArtifactError: another checkpoint computed them, or a version of this package whose embeddings have other shapes.
        """
        if models.embeddings.widths() != self.space.embeddings.widths():
            raise ArtifactError("the embeddings do not have the shapes of this checkpoint's")
        router = copy(self)
        router.__dict__.pop("relatives", None)
        router.space = self.space.merged(models)
        return router

    @cached_property
    def anchors(self) -> Anchors:
        """The anchor queries of the checkpoint; raises ArtifactError if it has none."""
        return load_anchors(self._checkpoint)

    @cached_property
    def relatives(self) -> Relatives:
        """The models of the space as relatives of models that were never evaluated."""
        return Relatives(self.locus, self.space)

    def standard_error(self, model: str) -> float:
        """The mean standard error of a model's P(correct) over the checkpoint's anchor queries.

        Raises:
            ArtifactError: the space lacks the model.
        """
        predictor = Predictor(self.locus, self.space.embeddings.take(self.space.rows([model])))
        return float(predictor.predict_asked(self.locus.anchors).standard_error.mean())

    def scorer(self, models: Sequence[str]) -> Scorer:
        """Prepares predictions for these models of the space. Keep it when you predict for the same models again.

        Raises:
            ArtifactError: names every model that the space lacks, with the closest names that it has.
        """
        rows = self.space.rows(models)
        return Scorer(models, Predictor(self.locus, self.space.embeddings.take(rows)))

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
            p_correct; `familiarity`, (n,), float32, how much each query resembles evaluated ones.

        Raises:
            ArtifactError: names every model that the space lacks, with the closest names that it has.
            TypeError: `texts` or `models` is a single string.
            ValueError: the encodings or an embedding do not have the widths of this checkpoint, or `models` is empty.
        """
        q = encodings_of(self.encoder, texts)
        known = self.space.models if models is None else sequence("models", models)
        if not known:
            raise ValueError("models is empty")
        names = [model for model in known if isinstance(model, str)]
        rows = iter(self.space.rows(names).tolist())
        all_ = self.space.embeddings
        parts = [all_.take([next(rows)]) if isinstance(model, str) else as_wide(model, all_) for model in known]
        return Predictor(self.locus, reduce(Embeddings.followed_by, parts)).predict(q)

    def embed(
        self,
        texts: Sequence[str] | NDArray[np.floating],
        scores: ArrayLike,
        name: str | None = None,
        weights: ArrayLike | None = None,
        *,
        corrected: bool = False,
    ) -> Embedding:
        """Embeds one model from its evaluations: one forward pass without training, well below 0.1 s for 1,000 evaluations.

        The order of the evaluations does not matter, and equal evaluations give equal bytes on one kind of CPU. About 128
        evaluations on various queries are enough for a useful embedding.

        Args:
            texts: the n queries that the model answered, as text, or their encodings, (n, d_q), float.
            scores: the score of each answer, (n,), in [0, 1]: 0 is wrong, 1 is correct.
            name: of the model, such as `openai/gpt-5-mini`. Family, size and version in a name say what to expect of a model; a
                name is worth about 12 evaluations.
            weights: how many evaluations each one counts as, (n,), at least 0; None: 1 each. An evaluation of weight 2 counts as
                the same one twice; a doubtful one has a weight below 1: the variance of its noise is divided by the weight.
            corrected: the scores were corrected for the difficulty of the queries or for a grader's known errors, which puts some
                of them outside [0, 1]; any finite number is allowed then.

        Returns:
            An embedding, which `predict` and `neighbors` accept in place of a name. It belongs to this checkpoint.

        Raises:
            TypeError: `texts` is a single string.
            ValueError: there are no evaluations, the numbers of texts, scores and weights differ, a score is not in [0, 1], or a
                weight is negative.
        """
        q = encodings_of(self.encoder, texts)
        y, w = checked_scores(len(q), scores, weights, corrected=corrected)
        return self.locus.embed(q, y, name, w)

    def refine(
        self,
        embedding: Embedding,
        texts: Sequence[str] | NDArray[np.floating],
        scores: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        corrected: bool = False,
    ) -> Embedding:
        """The embedding after new evaluations, for a model whose old evaluations are not at hand; about 0.2 s.

        P(correct) is nearly that of `embed` from old and new evaluations together. The order of the new ones does not matter, bit
        for bit. Where all evaluations are at hand, `embed` them together.

        Args:
            embedding: of this checkpoint, for example a row of `space`.
            texts, scores, weights, corrected: the new evaluations, as for `embed`.

        Raises:
            TypeError, ValueError: as for `embed`; or the embedding does not have the widths of this checkpoint.
        """
        as_wide(embedding, self.space.embeddings)
        q = encodings_of(self.encoder, texts)
        y, w = checked_scores(len(q), scores, weights, corrected=corrected)
        return refined(self.locus, embedding, q, y, w)

    def graded_weights(self, embedding: Embedding) -> NDArray[np.float64]:
        """How many evaluations the certainty of an embedding in each domain is worth, (C,), float64."""
        as_wide(embedding, self.space.embeddings)
        return numbers_by_domain(self.locus, embedding)

    def domains(self, texts: Sequence[str] | NDArray[np.floating]) -> NDArray[np.int64]:
        """The most probable domain of each query, (n,), int64, in [0, C)."""
        return np.asarray(self.locus.asked(encodings_of(self.encoder, texts)).features.domains.argmax(axis=1), np.int64)

    def neighbors(self, model: str | Embedding, k: int | None = 10, benchmark: str | None = None) -> list[Neighbor]:
        """The models of the space that behave most like a model, the nearest first; ties by name.

        Args:
            model: a name in the space, which is left out of the answer, or an embedding that `embed` returned.
            k: number of models; None: all.
            benchmark: compare the models on the kind of question that this benchmark asks; None: on all kinds.

        Returns:
            Names and distances. A distance is a root mean square difference of P(correct), so 0.1 means that the two models'
            chances differ by about ten points: over the anchor queries of the benchmark, or over all kinds of question, as the
            Euclidean distance between embeddings.

        Raises:
            ArtifactError: the space lacks the model; the message has the closest names that it has.
            DataError: the checkpoint has no anchor queries of the benchmark; the message has the benchmarks that it has.
            ValueError: the embedding does not have the widths of this checkpoint.
        """
        if benchmark is not None:
            return self._neighbors_on(benchmark, model, k)
        if isinstance(model, str):
            return self.space.neighbors(model, k)
        as_wide(model, self.space.embeddings)
        return self.space.nearest(model.z, k)

    def _neighbors_on(self, benchmark: str, model: str | Embedding, k: int | None) -> list[Neighbor]:
        """The models by the root mean square difference of P(correct) over the anchors of a benchmark."""
        own = self.space.find(model) if isinstance(model, str) else None
        all_ = self.space.embeddings
        one = all_.take(self.space.rows([model])) if isinstance(model, str) else as_wide(model, all_)
        q = self.anchors.of([benchmark]).q
        p = Predictor(self.locus, one.followed_by(all_)).predict(q, graded=True).p_correct  # (A, 1 + M)
        distances = np.sqrt(((p[:, 1:] - p[:, :1]) ** 2).mean(axis=0))
        return [found for found in by_distance(self.space.models, distances) if found.model != own][:k]
