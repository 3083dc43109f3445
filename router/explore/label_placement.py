"""Places labels beside the marks of a picture. Pure geometry, in pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RINGS = 5  # of places around a mark; farther ones need lines that cross those of others


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def is_inside(self, other: "Box") -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


def place_labels(
    marks: NDArray[np.float64], radii: NDArray[np.float64], sizes: NDArray[np.float64], bounds: Box
) -> list[Box | None]:
    """A place for each label near its mark, so that labels cover neither marks nor each other; None if there is none.

    Labels are placed in the given order, each at the nearest free place around its mark.

    Args:
        marks: centres, (M, 2).
        radii: (M,).
        sizes: width and height of each label, (M, 2).
        bounds: the area that labels may cover.
    """
    taken = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(marks.tolist(), radii.tolist(), strict=True)]
    placed: list[Box | None] = []
    for (x, y), radius, (width, height) in zip(marks.tolist(), radii.tolist(), sizes.tolist(), strict=True):
        free = None
        for dx, dy in _offsets(radius, width, height):
            box = Box(x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            if box.is_inside(bounds) and not any(box.overlaps(other) for other in taken):
                free = box
                taken.append(box)
                break
        placed.append(free)
    return placed


def spread_out(marks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of marks, each as far as possible from all before it: the first labels are spread over the whole picture."""
    apart = np.linalg.norm(marks[:, None] - marks, axis=2)
    order = [int(np.linalg.norm(marks - marks.mean(axis=0), axis=1).argmax())]
    nearest = apart[order[0]].copy()
    nearest[order[0]] = -1.0
    while len(order) < len(marks):
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, apart[order[-1]])
        nearest[order[-1]] = -1.0
    return np.array(order, np.int64)


def _offsets(radius: float, width: float, height: float) -> list[tuple[float, float]]:
    """Offsets of a label's centre from its mark, in rings, the nearest first; in each ring right and left before others."""
    places = []
    for ring in range(RINGS):
        gap = radius + 2 + ring * 0.6 * height
        for step in range(16):
            angle = np.pi / 8 * ((step + 1) // 2 * (1 if step % 2 else -1))
            cos, sin = float(np.cos(angle)), float(np.sin(angle))
            places.append((cos * (gap + width / 2), sin * (gap + height / 2)))
    return places
