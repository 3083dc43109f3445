"""A map of a model space in two dimensions: its content, and one HTML page that shows it. `map_picture` draws it as a picture.

`space_map.js` and `space_map.css` draw it in a browser; the console of the gateway uses them too.

Computes no embeddings and no predictions: it shows those of `SpaceMap`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.explore.style import COLOURS, GREY
from router.model.space import Neighbor

FOLDER = Path(__file__).parent
PAGE, SCRIPT, STYLE = FOLDER / "space_map.html", FOLDER / "space_map.js", FOLDER / "space_map.css"
TITLE_MARK, STYLE_MARK, SCRIPT_MARK, DATA_MARK = "<!--TITLE-->", "/*STYLE*/", "/*SCRIPT*/", "/*DATA*/"
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


def project_to_plane(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Positions in the plane whose distances approximate those between the points: classical multidimensional scaling (Torgerson
    1952), which for Euclidean distances is PCA.

    The sign of an axis is arbitrary: the longer tail points right, or up.

    Args:
        points: (M, d).

    Returns:
        (M, 2), and the share of the squared distances that they explain, in [0, 1].
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    xy = np.zeros((len(points), 2))
    dimensions = min(2, len(values))
    xy[:, :dimensions] = left[:, :dimensions] * values[:dimensions]
    xy *= np.where((xy**3).sum(axis=0) < 0, -1.0, 1.0)
    squares = values**2
    return xy, float(squares[:2].sum() / squares.sum()) if squares.sum() > 0 else 1.0


def provider(model: str) -> str:
    """ "openai/gpt-4o" -> "openai"; a name without a provider is its own."""
    return model.partition("/")[0]


def short_name(model: str) -> str:
    """ "openai/gpt-4o" -> "gpt-4o" """
    return model.partition("/")[2] or model


def colours(models: Sequence[str], first: Sequence[str] = ()) -> dict[str, str]:
    """Provider -> colour, the providers with most models first. `OTHERS` stands for providers without a colour of their own.

    Up to ten providers with several models get a colour. If all providers fit, those with a single model get one too.

    Args:
        first: models whose providers come before all others, also with a single model.
    """
    counts, preferred = Counter(provider(model) for model in models), {provider(model) for model in first}
    ranked = sorted(counts, key=lambda name: (name not in preferred, -counts[name], name.lower()))
    if len(ranked) > len(COLOURS):
        ranked = [name for name in ranked if counts[name] > 1 or name in preferred][: len(COLOURS)]
    found = dict(zip(ranked, COLOURS, strict=False))
    return found if len(found) == len(counts) else found | {OTHERS: GREY}


@dataclass(frozen=True, slots=True)
class Mark:
    """A model on the map that `space_map.js` draws.

    Attributes:
        known_as: its name in the space, which has the provider.
        size: of the mark, in [0, 1].
        figure: what the list of the models shows beside the name, in [0, 1]; None: nothing is known.
        ring: how full the ring around the mark is, in [0, 1]; None: no ring.
        other: it is not of the portfolio, and is drawn faintly.
        relative: name in the space of the model whose embedding it borrows.
        stand_in: name of the model that answers for it if it fails.
    """

    name: str
    known_as: str
    xy: tuple[float, float]
    size: float
    figure: float | None
    ring: float | None = None
    other: bool = False
    relative: str | None = None
    stand_in: str | None = None


def drawing(marks: Sequence[Mark], caption: str) -> dict[str, Any]:
    """What `space_map.js` draws, for JSON."""
    return {
        "caption": caption,
        "colours": colours([mark.known_as for mark in marks], [mark.known_as for mark in marks if not mark.other]),
        "others": OTHERS,
        "models": [
            {
                "name": mark.name,
                "provider": provider(mark.known_as),
                "x": round(mark.xy[0], 5),
                "y": round(mark.xy[1], 5),
                "size": round(mark.size, 4),
                "figure": _rounded(mark.figure),
                "ring": _rounded(mark.ring),
                "other": mark.other,
                "relative": mark.relative,
                "stand_in": mark.stand_in,
            }
            for mark in marks
        ],
    }


def html_page(space: SpaceMap, title: str) -> str:
    """The map as one self-contained HTML page: point at a model, search, zoom; light and dark."""
    spread = float(np.ptp(space.mean_accuracy))
    sizes = (space.mean_accuracy - space.mean_accuracy.min()) / spread if spread > 0 else np.full(len(space.xy), 0.5)
    marks = [
        Mark(model, model, (float(x), float(y)), float(sizes[i]), float(space.mean_accuracy[i]))
        for i, (model, (x, y)) in enumerate(zip(space.models, space.xy, strict=True))
    ]
    data = drawing(marks, _caption(space)) | {
        "details": {model: _details(space, i) for i, model in enumerate(space.models)}
    }
    # "<" is escaped, so that no model name can close the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = PAGE.read_text(encoding="utf-8")
    for mark, content in (
        (TITLE_MARK, escape(title)),
        (STYLE_MARK, STYLE.read_text(encoding="utf-8")),
        (SCRIPT_MARK, SCRIPT.read_text(encoding="utf-8")),
        (DATA_MARK, text),
    ):
        page = page.replace(mark, content, 1)
    return page


def _details(space: SpaceMap, i: int) -> dict[str, Any]:
    """What is shown of a model once it is chosen."""
    return {
        "facts": [
            ["Mean predicted accuracy", f"{100 * space.mean_accuracy[i]:.1f}%"],
            ["Evaluations", f"{space.evaluations[i]:,}"],
        ],
        "kinds": [{"name": name, "mean": _rounded(float(of[i]))} for name, of in space.accuracy.items()],
        "neighbors": [{"name": near.model, "distance": round(near.distance, 4)} for near in space.neighbors[i]],
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _caption(space: SpaceMap) -> str:
    accuracy = space.mean_accuracy
    return (
        f"{len(space.models)} models. Models that are near on the map are near in the space: two dimensions explain "
        f"{100 * space.explained:.0f}% of the squared distances. Larger marks: higher mean predicted accuracy, "
        f"{100 * accuracy.min():.0f}% to {100 * accuracy.max():.0f}%."
    )
