"""The palette by differences that colour-blind readers see, and what fits on a page by what the test of pictures says."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from router.explore.style import (
    COLOURS,
    FAINT,
    GREY,
    INK,
    MARKS,
    PLAIN,
    new_figure,
    plain,
    save,
    set_legend,
    set_title,
)
from tests.router.explore.legible import flaws

Floats = NDArray[np.float64]
# What readers see of linear RGB, at full strength: Machado, Oliveira and Fernandes 2009.
SIGHTS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE_XYZ = TO_XYZ.sum(axis=1)


def linear(colour: str) -> Floats:
    """#rrggbb as linear RGB in [0, 1]."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    """Linear RGB as CIELAB."""
    t = TO_XYZ @ rgb / WHITE_XYZ
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ciede2000(first: Floats, second: Floats) -> float:
    """Difference of two colours in CIELAB; about 2 is just seen, 10 at a glance. Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    light, chroma, hue = (l1 + l2) / 2 - 50, (c1 + c2) / 2, np.radians((h1 + turn / 2) % 360)
    t = (
        1
        - 0.17 * np.cos(hue - np.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6))
        - 0.2 * np.cos(4 * hue - np.radians(63))
    )
    bend = 60 * np.exp(-(((np.degrees(hue) - 275) / 25) ** 2))
    of_light = (l2 - l1) / (1 + 0.015 * light**2 / np.sqrt(20 + light**2))
    of_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    of_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * t)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(bend))
    return float(np.sqrt(of_light**2 + of_chroma**2 + of_hue**2 + rotation * of_chroma * of_hue))


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ],
)
def test_differences_are_those_of_the_published_pairs(
    first: tuple[float, ...], second: tuple[float, ...], difference: float
) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize(
    ("sight", "least"), [("full", 13), ("protanopia", 13), ("deuteranopia", 13), ("tritanopia", 11)]
)
def test_any_two_colours_are_told_apart(sight: str, least: float) -> None:
    seen = {colour: lab(np.clip(SIGHTS[sight] @ linear(colour), 0, 1)) for colour in (*COLOURS, GREY, INK)}
    apart = {pair: ciede2000(seen[pair[0]], seen[pair[1]]) for pair in combinations(seen, 2)}
    assert min(apart.values()) > least, min(apart, key=lambda pair: apart[pair])
    assert len(set(MARKS)) == len(COLOURS) == len(MARKS)


def test_colours_stand_out_on_white_and_the_grid_does_not() -> None:
    contrast = {colour: 1.05 / (float(TO_XYZ[1] @ linear(colour)) + 0.05) for colour in (*COLOURS, GREY, INK, FAINT)}
    assert min(contrast[colour] for colour in (*COLOURS, GREY, INK)) > 2.2
    assert contrast[FAINT] < 1.5


def test_long_titles_and_legends_fit_on_the_page(tmp_path: Path) -> None:
    figure = new_figure(6.0)
    axes = figure.add_subplot()
    names = [f"a method with a name of some length, number {i} of $seven$" for i in range(7)]
    lines = {name: axes.plot([0, 1], [i, i + 1], color=COLOURS[i])[0] for i, name in enumerate(names)}
    plain(axes)
    axes.set_xlabel("requests", fontsize=PLAIN)
    axes.set_ylabel("USD", fontsize=PLAIN)
    set_title(figure, "From $8 on, " + "the title goes on and on, " * 8 + "until it ends")
    set_legend(figure, lines)
    assert flaws(figure) == []
    lengths = [len(line) for line in figure.get_suptitle().split("\n")]
    assert len(lengths) == 3
    assert min(lengths) > 0.7 * max(lengths)
    save(figure, tmp_path / "deep" / "a.png")
    with Image.open(tmp_path / "deep" / "a.png") as picture:
        assert picture.size == (1200, 900)
        assert picture.info["Title"] == figure.get_suptitle().replace("\n", " ")


def test_what_cannot_be_read_is_found() -> None:
    figure = new_figure(3.0)
    axes = figure.add_subplot()
    for i in range(2):
        axes.plot([0, 1], [0, i], label="a line whose name is much longer than the page is wide, and so is cut " * 2)
    axes.text(0.5, 0.5, "here", fontsize=4)
    axes.text(0.5, 0.5, "there", fontsize=12)
    figure.legend()
    found = "\n".join(flaws(figure))
    for flaw in (
        "overlap: 'here' and 'there'",
        "small: 'here'",
        "no title",
        "no horizontal",
        "no vertical",
        "legend is cut",
    ):
        assert flaw in found
