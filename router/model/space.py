"""The model space: one embedding per model, and the distances between them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.model.embedding import Embeddings
from router.model.model_families import Families, Family
from router.regular_file import check_regular

FORMAT = 3
LARGEST = 1 << 30  # bytes of a file


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A model of the space and its distance to a given model."""

    model: str
    distance: float


def by_distance(models: Sequence[str], distances: NDArray[np.floating]) -> list[Neighbor]:
    """Models with their distances, (M,), nearest first; ties by name."""
    listed = [Neighbor(name, float(distance)) for name, distance in zip(models, distances, strict=True)]
    return sorted(listed, key=lambda neighbor: (neighbor.distance, neighbor.model))


class ModelSpace:
    """Embeddings of M models, all from one checkpoint.

    Attributes:
        models: M names, `provider/name`.
        embeddings: M rows.
        checkpoint: id of the checkpoint that computed them.

    Raises:
        ValueError: a name occurs twice, or the lengths differ.
    """

    def __init__(self, models: Sequence[str], embeddings: Embeddings, checkpoint: str) -> None:
        if len(models) != len(embeddings) or len(set(models)) != len(models):
            raise ValueError("models must be distinct and as many as embeddings")
        self.models = tuple(models)
        self.embeddings = embeddings
        self.checkpoint = checkpoint
        self._row = {name: i for i, name in enumerate(self.models)}

    @property
    def z(self) -> NDArray[np.float32]:
        """The places of the models, (M, 128), float32."""
        return self.embeddings.z

    @property
    def evaluations(self) -> tuple[int, ...]:
        """The numbers of evaluations that the embeddings were computed from."""
        return tuple(self.embeddings.evaluations.tolist())

    def find(self, name: str) -> str:
        """The full name of the model of the space that a name means: in full, without maker, date or reasoning setting, or as a
        provider calls the model.

        `azure/gpt-4o` gives `openai/gpt-4o-2024-11-20` if this is the newest snapshot of it in the space.

        Raises:
            ArtifactError: as for `family`.
        """
        if name in self._row:
            return name
        family = self.family(name)
        return family.variant(family.setting)

    def family(self, name: str) -> Family:
        """The variants by reasoning setting of the model that a name means, as for `find`.

        Raises:
            ArtifactError: the space has no such model; the message has close names. Or it has several; the message has these.
        """
        found = self.families.find(name)
        if len(found) > 1:
            raise ArtifactError(f"{name!r} may be {' or '.join(family.name for family in found)}; write which")
        if not found:
            close = self.families.similar(name)
            hint = f"; close to it: {', '.join(close)}" if close else ""
            raise ArtifactError(f"the model space has no {name!r}{hint}")
        return found[0]

    @cached_property
    def families(self) -> Families:
        """The models by name; made when first needed, which takes some tens of milliseconds."""
        return Families(self.models)

    def rows(self, models: Sequence[str]) -> NDArray[np.int64]:
        """The row of each model in `z`, (n,), int64. Accepts the names that `find` accepts.

        Raises:
            ArtifactError: names every model that is not in the space, with the closest names that are.
        """
        problems = []
        for name in dict.fromkeys(models):
            try:
                self.find(name)
            except ArtifactError as exc:
                problems.append(str(exc))
        if problems:
            raise ArtifactError("; ".join(problems))
        return np.array([self._row[self.find(name)] for name in models], np.int64)

    def distance(self, a: str, b: str) -> float:
        """Euclidean distance between the embeddings of two models."""
        i, j = self.rows([a, b])
        return float(np.linalg.norm(self.z[i] - self.z[j]))

    def neighbors(self, model: str, k: int | None = None, among: Collection[str] | None = None) -> list[Neighbor]:
        """The other models by distance, nearest first; ties by name.

        Args:
            model: a name, as for `find`.
            k: number of models; None: all.
            among: full names of the models to search; None: the whole space.

        Raises:
            ArtifactError: the space does not have the model.
        """
        name = self.find(model)
        others = self.nearest(self.z[self._row[name]], among=among)
        return [neighbor for neighbor in others if neighbor.model != name][:k]

    def nearest(
        self, z: NDArray[np.float32], k: int | None = None, among: Collection[str] | None = None
    ) -> list[Neighbor]:
        """The models by their distance to an embedding, nearest first; ties by name.

        Args:
            z: (d,), float32, of the same checkpoint.
            k: number of models; None: all.
            among: full names of the models to search; None: the whole space.
        """
        distances = np.linalg.norm(self.z - z, axis=1)  # (M,), Euclidean
        return [found for found in by_distance(self.models, distances) if among is None or found.model in among][:k]

    def merged(self, other: "ModelSpace") -> "ModelSpace":
        """A space with the models of both. If both have a model, the embedding of `other` counts.

        Raises:
            ArtifactError: the spaces come from different checkpoints, so that distances between them have no meaning.
        """
        if self.checkpoint != other.checkpoint:
            raise ArtifactError(
                f"model spaces of different checkpoints cannot be joined: {self.checkpoint[:12]}, {other.checkpoint[:12]}"
            )
        keep = [i for i, name in enumerate(self.models) if name not in other._row]
        return ModelSpace(
            [self.models[i] for i in keep] + list(other.models),
            self.embeddings.take(keep).followed_by(other.embeddings),
            self.checkpoint,
        )

    def with_checkpoint(self, checkpoint: str) -> "ModelSpace":
        """The same space with another checkpoint id."""
        return ModelSpace(self.models, self.embeddings, checkpoint)

    def save(self, path: Path) -> None:
        """Writes the space. Equal spaces give equal bytes."""
        from safetensors.numpy import save

        about = {
            "format": FORMAT,
            "checkpoint": self.checkpoint,
            "models": self.models,
        }
        # One metadata key: safetensors does not keep the order of several, and the bytes would differ from run to run.
        metadata = {"space": json.dumps(about, ensure_ascii=False)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(self.embeddings.arrays(), metadata))

    @classmethod
    def load(cls, path: Path) -> "ModelSpace":
        """Reads a model space.

        Raises:
            ArtifactError: the file is missing, unreadable, not a model space, or of another format.
        """
        from safetensors import SafetensorError, safe_open

        try:
            check_regular(path, LARGEST)
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {}).get("space", "{}"))
                if not isinstance(about, dict) or about.get("format") != FORMAT:
                    raise ArtifactError(f"{path}: not a model space of format {FORMAT}")
                embeddings = Embeddings.of_arrays({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            return cls(about["models"], embeddings, about["checkpoint"])
        except FileNotFoundError as exc:
            raise ArtifactError(f"{path}: no such file") from exc
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as exc:
            raise ArtifactError(f"{path}: not a readable model space: {exc}") from exc
