"""A map of a model space in two dimensions: its content, and one HTML page that shows it. `map_picture` draws it.

Computes no embeddings and no predictions: it shows those of `SpaceMap`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.explore.style import COLOURS, GREY
from router.model.space import Neighbor

PAGE = Path(__file__).parent / "space.html"
DATA_MARK = "/*DATA*/"
OTHERS = "other providers"


@dataclass(frozen=True)
class SpaceMap:
    """The content of a map of M models.

    Attributes:
        xy: positions, (M, 2), of `project_to_plane`.
        explained: share of the squared distances that the two dimensions explain, in [0, 1].
        accuracy: benchmark -> predicted accuracy, (M,), in [0, 1].
        mean_accuracy: (M,), in [0, 1]; sets the size of a mark.
        neighbors: the nearest models of each.
        evaluations: number of evaluations that each embedding was computed from.
    """

    models: tuple[str, ...]
    xy: NDArray[np.float64]
    explained: float
    accuracy: Mapping[str, NDArray[np.float64]]
    mean_accuracy: NDArray[np.float64]
    neighbors: Sequence[Sequence[Neighbor]]
    evaluations: tuple[int, ...]


def project_to_plane(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Positions in the plane whose distances approximate the given ones: classical multidimensional scaling (Torgerson 1952).

    For Euclidean distances this is PCA of the embeddings. The sign of an axis is arbitrary: the longer tail points right, or up.

    Args:
        distances: (M, M), symmetric, zero diagonal.

    Returns:
        (M, 2), and the share of the squared distances that they explain, in [0, 1].
    """
    centring = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances.astype(np.float64) ** 2 @ centring)
    values = np.maximum(values[::-1], 0.0)
    xy = np.zeros((len(distances), 2))
    dimensions = min(2, len(distances))
    xy[:, :dimensions] = vectors[:, ::-1][:, :dimensions] * np.sqrt(values[:dimensions])
    xy *= np.where((xy**3).sum(axis=0) < 0, -1.0, 1.0)
    return xy, float(values[:2].sum() / values.sum()) if values.sum() > 0 else 1.0


def provider(model: str) -> str:
    """ "openai/gpt-4o" -> "openai"; a name without a provider is its own."""
    return model.partition("/")[0]


def short_name(model: str) -> str:
    """ "openai/gpt-4o" -> "gpt-4o" """
    return model.partition("/")[2] or model


def colours(models: Sequence[str]) -> dict[str, str]:
    """Provider -> colour, the providers with most models first. `OTHERS` stands for providers without a colour of their own.

    Up to ten providers with several models get a colour. If all providers fit, those with a single model get one too.
    """
    counts = Counter(provider(model) for model in models)
    ranked = sorted(counts, key=lambda name: (-counts[name], name.lower()))
    if len(ranked) > len(COLOURS):
        ranked = [name for name in ranked if counts[name] > 1][: len(COLOURS)]
    found = dict(zip(ranked, COLOURS, strict=False))
    return found if len(found) == len(counts) else found | {OTHERS: GREY}


def html_page(space: SpaceMap, title: str) -> str:
    """The map as one self-contained HTML page: hover over a model, search, zoom; light and dark."""
    data = {
        "title": title,
        "caption": _caption(space),
        "colours": colours(space.models),
        "others": OTHERS,
        "benchmarks": list(space.accuracy),
        "models": [
            {
                "name": model,
                "provider": provider(model),
                "x": round(float(space.xy[i, 0]), 5),
                "y": round(float(space.xy[i, 1]), 5),
                "mean": round(float(space.mean_accuracy[i]), 4),
                "evaluations": space.evaluations[i],
                "accuracy": [round(float(column[i]), 4) for column in space.accuracy.values()],
                "neighbors": [[n.model, round(n.distance, 4)] for n in space.neighbors[i]],
            }
            for i, model in enumerate(space.models)
        ],
    }
    # "<" is escaped, so that no model name can close the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return PAGE.read_text(encoding="utf-8").replace(DATA_MARK, text, 1)


def _caption(space: SpaceMap) -> str:
    accuracy = space.mean_accuracy
    return (
        f"{len(space.models)} models. Models that are near on the map are near in the space: two dimensions explain "
        f"{100 * space.explained:.0f}% of the squared distances. Larger marks: higher mean predicted accuracy, "
        f"{100 * accuracy.min():.0f}% to {100 * accuracy.max():.0f}%."
    )
