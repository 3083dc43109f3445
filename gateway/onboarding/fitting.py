"""Answers to probes -> embeddings of models, and how sure they make predictions. numpy only, and slow enough for a thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.serving import Router
from router.probes.choice import choose_probes
from router.probes.difficulty import corrected
from router.probes.levels import fit_levels
from router.probes.probe import Probe

Scores = Mapping[str, float]  # by the id of the probe


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model before its answers.

    Attributes:
        name: of the model in the space, or the name that says most of it.
        embedding: of the space; None if the space does not have the model.
    """

    name: str
    embedding: Embedding | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """An embedding, and the mean standard error of its P(correct) over the queries that count."""

    embedding: Embedding
    error: float


class Fitting:
    """A bank as the router sees it.

    Args:
        traffic: encodings of the owner's queries, (d_q,) each; without any the checkpoint's anchors stand for them.
    """

    def __init__(self, router: Router, probes: Sequence[Probe], traffic: Sequence[NDArray[np.float32]]) -> None:
        self._router = router
        self._probes = tuple(probes)
        self._row = {probe.id: row for row, probe in enumerate(probes)}
        self._q = router.encoder.encode([probe.query for probe in probes])
        self._traffic_q = np.stack(traffic) if traffic else None
        self._difficulty = np.array([probe.difficulty or 0.0 for probe in probes], np.float32)
        self._known_models = np.array([probe.known_models for probe in probes], np.int64)

    @property
    def joint(self) -> bool:
        """True if no known model was evaluated on the bank, so that models are placed by each other's answers."""
        return not self._known_models.any()

    def next_probes(self, asked: Sequence[str], count: int, embedding: Embedding | None) -> list[Probe]:
        """The probes that tell most after those that were asked: a spread start first.

        Args:
            asked: ids; those that the bank lacks do not count.
            embedding: of the model, after the last answers.
        """
        rows = [self._row[id] for id in asked if id in self._row]
        count = min(count, len(self._probes) - len(rows))
        if count <= 0:
            return []
        kinds = [probe.main_kind for probe in self._probes]
        chosen = choose_probes(
            self._router, self._q, kinds, count, embedding=embedding, asked=rows, traffic_q=self._traffic_q
        )
        return [self._probes[row] for row in chosen]

    def fit(self, scores: Mapping[str, Scores], known: Mapping[str, Known]) -> dict[str, Fitted]:
        """The embeddings of all models that have scores.

        Args:
            scores: of each model.
            known: by model; at least those with scores.
        """
        scored = {model: of for model, of in scores.items() if any(id in self._row for id in of)}
        if self.joint and len(scored) > 1:
            embeddings = self._together(scored, known)
        else:
            embeddings = {model: self._alone(of, known[model]) for model, of in scored.items()}
        at = self._router.locus.features.anchors if self._traffic_q is None else self._traffic_q
        if not embeddings:
            return {}
        errors = self._router.predict(at, list(embeddings.values())).standard_error.mean(axis=0)
        return {
            model: Fitted(embedding, float(error))
            for (model, embedding), error in zip(embeddings.items(), errors, strict=True)
        }

    def _alone(self, scores: Scores, known: Known) -> Embedding:
        rows, y = self._evaluations(scores)
        net = corrected(y, self._difficulty[rows], self._known_models[rows])
        if known.embedding is not None:
            return self._router.refine(known.embedding, self._q[rows], net, corrected=True)
        return self._router.embed(self._q[rows], net, known.name, corrected=True)

    def _together(self, scored: Mapping[str, Scores], known: Mapping[str, Known]) -> dict[str, Embedding]:
        """Embeddings from the answers of all models, net of what the others' answers say of each probe's difficulty."""
        evaluations = {model: self._evaluations(scores) for model, scores in scored.items()}
        asked = np.unique(np.concatenate([rows for rows, _ in evaluations.values()]))
        matrix = np.full((len(scored), len(asked)), np.nan)
        names: list[str] = []
        for number, (model, (rows, y)) in enumerate(evaluations.items()):
            matrix[number, np.searchsorted(asked, rows)] = y
            name = known[model].name
            names.append(
                name if name not in names else f"{name} {number}"
            )  # two models of a portfolio may be one of the space
        embeddings, _ = fit_levels(self._router, self._q[asked], matrix, names)
        return dict(zip(scored, embeddings, strict=True))

    def _evaluations(self, scores: Scores) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows of probes and their scores, (n,) each."""
        found = sorted((self._row[id], score) for id, score in scores.items() if id in self._row)
        return np.array([row for row, _ in found], np.int64), np.array([score for _, score in found], np.float32)
