"""A version of a model's embedding and the state of a model, as frozen values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from gateway.model_versions.states import STATES, State
from router.errors import ArtifactError
from router.model.embedding import Embedding

Source = Literal["onboarding", "refinement", "drift"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model's embedding.

    Attributes:
        model: its name in the portfolio.
        deployment: the id of the deployment that it is for; None if it is for the model, whichever deployment answers.
        version: from 1, counted for each model and each deployment.
        checkpoint: id of the checkpoint that computed it; embeddings of another one have no meaning.
        source: what computed it.
        note: why it was computed, for people.
        evaluations: the number of evaluations it was computed from.
        time: when it was added, seconds since the epoch.
        live: it is in use.
        used: it is or was in use.
        arrays: the embedding, safetensors.
    """

    model: str
    deployment: str | None
    version: int
    checkpoint: str
    source: str
    note: str
    evaluations: int
    time: float
    live: bool
    used: bool
    arrays: bytes = field(repr=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Version":
        return cls(
            row["model"],
            row["deployment"] or None,
            row["version"],
            row["checkpoint"],
            row["source"],
            row["note"],
            row["evaluations"],
            row["time"],
            bool(row["live"]),
            bool(row["used"]),
            bytes(row["embedding"]),
        )

    def embedding(self) -> Embedding:
        """
        Raises:
            ArtifactError: the arrays are damaged, or another version of this package wrote them.
        """
        try:
            return embedding_of(self.arrays)
        except ArtifactError as exc:
            raise ArtifactError(f"version {self.version} of {self.model}: {exc}") from exc


@dataclass(frozen=True, slots=True)
class Trial:
    """How the state "limited" ends.

    Attributes:
        share: of the requests that `auto` may give to the model, at most.
        requests: after so many requests of the model it is live.
        target_error: it is live once the mean standard error of its P(correct) is at most this; None: not by that.
    """

    share: float = 0.1
    requests: int = 200
    target_error: float | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """How far routing trusts a model.

    Attributes:
        reason: why it is in this state, for people.
        since: when it got this state, seconds since the epoch.
        trial: None unless the state is "limited".
        served: requests that `auto` gave to the model in the state "limited".
    """

    state: State
    reason: str
    since: float
    trial: Trial | None = None
    served: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ModelState | None":
        """The state of a row; None for a state that only a newer version of this package knows."""
        state = next((known for known in STATES if known == row["state"]), None)
        if state is None:
            return None
        trial = None
        if state == "limited":
            trial = Trial(row["share"], row["most_requests"], row["target_error"])
        return cls(state, row["reason"], row["since"], trial, row["requests"])


@dataclass(frozen=True, slots=True)
class InUse:
    """What is known of the models of a portfolio.

    Attributes:
        versions: of each model that has a version in use.
        states: of models, as they were set; a model without one is live.
        of_deployments: states of deployments, by model and id of the deployment.
        versions_of_deployments: of each deployment that has a version of its own in use, likewise.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    states: Mapping[str, ModelState] = field(default_factory=dict)
    of_deployments: Mapping[tuple[str, str], ModelState] = field(default_factory=dict)
    versions_of_deployments: Mapping[tuple[str, str], Version] = field(default_factory=dict)

    @classmethod
    def of(cls, live: Iterable[Mapping[str, Any]], states: Iterable[Mapping[str, Any]]) -> "InUse":
        """What the rows of live versions and of states say."""
        versions = [Version.of(row) for row in live]
        by_deployment = states_of(states)
        return cls(
            {version.model: version for version in versions if version.deployment is None},
            {model: state for (model, deployment), state in by_deployment.items() if not deployment},
            {of: state for of, state in by_deployment.items() if of[1]},
            {(version.model, version.deployment): version for version in versions if version.deployment is not None},
        )


def states_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], ModelState]:
    """The states of models, whose deployment is "", and of deployments; those that only a newer version knows are left out."""
    found = [((row["model"], row["deployment"]), ModelState.of(row)) for row in rows]
    return {of: state for of, state in found if state is not None}


def arrays_of(embedding: Embedding) -> bytes:
    """An embedding as safetensors. Equal embeddings give equal bytes."""
    from safetensors.numpy import save

    return save({each.name: np.asarray(getattr(embedding, each.name)) for each in fields(Embedding)})


def embedding_of(arrays: bytes) -> Embedding:
    """The embedding that `arrays_of` wrote.

    Raises:
        ArtifactError: the arrays are damaged, or another version of this package wrote them.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(arrays)
        parts = {each.name: found[each.name] for each in fields(Embedding)}
    except (SafetensorError, ValueError) as exc:
        raise ArtifactError(f"not a readable embedding: {exc}") from exc
    except KeyError as exc:
        raise ArtifactError(f"the embedding has no array {exc}") from exc
    values: dict[str, Any] = {name: array.item() if array.ndim == 0 else array for name, array in parts.items()}
    return Embedding(**values)
