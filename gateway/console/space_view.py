"""The models of a portfolio in force among the other models of their space: where they lie, and how well each is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gateway.http.in_force import InForce
from gateway.routing.placed_models import OWN_PREFIX
from router.errors import ArtifactError
from router.explore.overview import Overview, overviews
from router.explore.space_map import project_to_plane
from router.model.embedding import Embeddings
from router.model.predictor import Predictor
from router.model.space import Neighbor

NEIGHBORS = 8


@dataclass(frozen=True)
class SpaceView:
    """N models: those of the portfolio that have an embedding, in its order, then the other ones of the space.

    Attributes:
        in_force: what it was made from.
        names: in the portfolio; of the others in the space.
        known_as: names in the space, which begin with their providers; of a borrowed embedding that of the relative.
        relatives: the model whose embedding each borrows, or None.
        own: number of those of the portfolio.
        xy: places, (N, 2).
        explained: share of the squared distances that the places show.
        embeddings: N rows.
        overviews: what is predicted of each; empty if the checkpoint has no anchor queries.
    """

    in_force: InForce
    names: tuple[str, ...]
    known_as: tuple[str, ...]
    relatives: tuple[str | None, ...]
    own: int
    xy: NDArray[np.float64]
    explained: float
    embeddings: Embeddings
    overviews: Sequence[Overview]

    def row(self, name: str, *, other: bool) -> int | None:
        """The row of a model of the portfolio, or of another one; None if there is no such model."""
        if not other:
            return self._rows.get(name)
        return next((i for i in range(self.own, len(self.names)) if self.names[i] == name), None)

    def neighbors(self, row: int, k: int = NEIGHBORS) -> list[tuple[Neighbor, bool]]:
        """The nearest other models, and whether each is not of the portfolio."""
        distances = np.linalg.norm(self.embeddings.z - self.embeddings.z[row], axis=1)
        nearest = (i for i in np.argsort(distances, kind="stable").tolist() if i != row)
        return [(Neighbor(self.names[i], float(distances[i])), i >= self.own) for i in islice(nearest, k)]

    def stand_ins(self, row: int, k: int = 3) -> list[Neighbor]:
        """The models that answer for a model of the portfolio if it fails, whatever the request: its fallbacks, then the nearest.

        Those without an embedding are left out.
        """
        live = self.in_force.deployments.models[self.names[row]].deployments
        rows = self._rows
        known = (rows[model.name] for model in live[0].stand_ins() if model.name in rows)
        return [Neighbor(self.names[i], self._distance(row, i)) for i in islice(known, k)]

    @cached_property
    def first_stand_ins(self) -> list[str | None]:
        """The name of the first stand-in of each model of the portfolio; None where none may stand in."""
        return [next((one.model for one in self.stand_ins(row, 1)), None) for row in range(self.own)]

    @cached_property
    def _rows(self) -> dict[str, int]:
        """The rows of the portfolio's models."""
        return {name: i for i, name in enumerate(self.names[: self.own])}

    def predictor(self) -> Predictor:
        """Predictions for all N models."""
        return Predictor(self.in_force.router.locus, self.embeddings)

    def _distance(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self.embeddings.z[a] - self.embeddings.z[b]))


def space_view(in_force: InForce) -> SpaceView:
    """Computes the view; a second for a thousand models, so in a thread."""
    router, standings = in_force.router, in_force.standings
    own = [(model.name, model.embedding) for model in in_force.portfolio.models if model.embedding is not None]
    taken = {embedding for _, embedding in own}
    others = [name for name in in_force.file_router.space.models if name not in taken]
    in_space = [*(embedding for _, embedding in own), *others]
    names = [*(name for name, _ in own), *others]
    relatives = [*(standings[name].relative for name, _ in own), *(None for _ in others)]
    known_as = [relative or name.removeprefix(OWN_PREFIX) for relative, name in zip(relatives, in_space, strict=True)]
    embeddings = router.space.embeddings.take(router.space.rows(in_space))
    xy, explained = project_to_plane(embeddings.z) if in_space else (np.zeros((0, 2)), 1.0)
    try:
        anchors = router.anchors
    except ArtifactError:  # a checkpoint of the operator's own may have none
        known = []
    else:
        known = overviews(router.locus, anchors, names, embeddings, relatives)
    return SpaceView(
        in_force, tuple(names), tuple(known_as), tuple(relatives), len(own), xy, explained, embeddings, known
    )
