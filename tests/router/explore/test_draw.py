"""Pictures: places and labels by their properties, files by what is in them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from router.explore.clusters import cut_tree, linkage, pairwise_distances
from router.explore.dendrogram import draw_dendrogram
from router.explore.label_placement import Box, place_labels, spread_out
from router.explore.map_picture import draw_map
from router.explore.space_map import (
    OTHERS,
    SpaceMap,
    colours,
    html_page,
    project_to_plane,
    provider,
    short_name,
)
from router.explore.style import COLOURS, GREY, save
from router.model.space import Neighbor
from tests.router.explore.legible import flaws

MODELS = ("lab/one", "lab/two", "other/three", "bare", "evil/</script><script>alert(1)</script>")


def space_map(models: tuple[str, ...] = MODELS) -> SpaceMap:
    rng = np.random.default_rng(0)
    number = len(models)
    accuracy = {"sums": rng.random(number), "places": rng.random(number)}
    neighbors = [
        [Neighbor(models[(i + 1) % number], 0.5), Neighbor(models[(i + 2) % number], 1.25)] for i in range(number)
    ]
    mean = (accuracy["sums"] + accuracy["places"]) / 2
    return SpaceMap(models, rng.normal(size=(number, 2)), 0.9, accuracy, mean, neighbors, tuple(range(number)))


def has_colour(picture: Path, colour: str) -> bool:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    pixels = imread(picture)[..., :3]
    return bool((np.abs(pixels - wanted).max(axis=2) < 0.01).any())


def test_places_in_the_plane_are_found_again() -> None:
    points = np.random.default_rng(0).normal(size=(12, 2)) @ np.array([[3.0, 1.0], [0.0, 0.5]])
    xy, explained = project_to_plane(points)
    np.testing.assert_allclose(pairwise_distances(xy), pairwise_distances(points), atol=1e-9)
    assert explained == pytest.approx(1.0)
    assert xy[:, 0].var() > xy[:, 1].var()
    np.testing.assert_array_equal(project_to_plane(points)[0], xy)


def test_the_explained_share_is_that_of_pca() -> None:
    z = np.random.default_rng(1).normal(size=(30, 6)) * [5, 3, 1, 1, 1, 1]
    xy, explained = project_to_plane(z)
    values = np.linalg.svd(z - z.mean(axis=0), compute_uv=False) ** 2
    assert explained == pytest.approx(values[:2].sum() / values.sum())
    np.testing.assert_allclose((xy**2).sum(axis=0), values[:2])


def test_few_models_and_models_at_one_place_have_places_too() -> None:
    assert project_to_plane(np.ones((1, 4)))[0].tolist() == [[0.0, 0.0]]
    np.testing.assert_allclose(
        np.ptp(project_to_plane(np.array([[0.0, 0.0, 3.0], [0.0, 2.0, 3.0]]))[0], axis=0), [2.0, 0.0], atol=1e-9
    )
    np.testing.assert_allclose(
        np.ptp(project_to_plane(np.array([[1.0], [4.0], [2.0]]))[0], axis=0), [3.0, 0.0], atol=1e-9
    )
    xy, explained = project_to_plane(np.ones((3, 3)))
    assert (xy.tolist(), explained) == ([[0.0, 0.0]] * 3, 1.0)


@pytest.mark.parametrize("number", [1, 40, 300])
def test_labels_cover_neither_marks_nor_each_other(number: int) -> None:
    rng = np.random.default_rng(number)
    marks = rng.uniform(20, 980, (number, 2))
    radii, sizes = rng.uniform(3, 9, number), np.stack([rng.uniform(40, 160, number), np.full(number, 12.0)], axis=1)
    bounds = Box(0, 0, 1000, 1000)
    placed = place_labels(marks, radii, sizes, bounds)
    labels = [box for box in placed if box is not None]
    circles = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(marks, radii, strict=True)]
    assert all(box.is_inside(bounds) for box in labels)
    assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])
    assert not any(label.overlaps(circle) for label in labels for circle in circles)
    assert len(labels) == number if number <= 40 else len(labels) > 100
    for box, (width, height) in zip(placed, sizes, strict=True):
        assert box is None or (box.right - box.left, box.top - box.bottom) == pytest.approx((width, height))


def test_a_lone_label_is_close_and_one_without_room_is_left_out() -> None:
    mark, radius, size = np.array([[50.0, 50.0]]), np.array([5.0]), np.array([[30.0, 10.0]])
    (box,) = place_labels(mark, radius, size, Box(0, 0, 100, 100))
    assert box is not None
    assert 5 <= box.left - 50 <= 8
    assert place_labels(mark, radius, size, Box(40, 40, 60, 60)) == [None]


def test_the_providers_with_most_models_have_colours_of_their_own() -> None:
    few = colours(["b/1", "a/1", "a/2", "c"])
    assert list(few) == ["a", "b", "c"]
    assert len(set(few.values())) == 3
    many = colours([f"p{i:02}/m{j}" for i in range(15) for j in range(1 + (i < 12))])
    assert list(many) == [*(f"p{i:02}" for i in range(10)), OTHERS]
    assert many[OTHERS] == GREY
    of_one = colours([*(f"p{i:02}/m{j}" for i in range(15) for j in range(2)), "own"], ["own"])
    assert list(of_one) == ["own", *(f"p{i:02}" for i in range(9)), OTHERS]
    assert (provider("a/b"), short_name("a/b"), provider("c"), short_name("c")) == ("a", "b", "c", "c")


def test_names_are_spread_over_the_whole_map() -> None:
    marks = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [100.0, 0.0], [50.0, 0.0]])
    assert spread_out(marks).tolist() == [3, 0, 4, 2, 1]
    assert spread_out(np.zeros((3, 2))).tolist() == [0, 1, 2]


def test_a_map_is_a_picture_in_the_providers_colours(tmp_path: Path) -> None:
    drawn = space_map()
    for name in ("a.png", "deep/b.png"):
        save(draw_map(drawn, "a test"), tmp_path / name)
    height, width, _ = imread(tmp_path / "a.png").shape
    assert width == 1200
    assert height >= 960
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "deep" / "b.png").read_bytes()
    for colour in colours(MODELS).values():
        assert has_colour(tmp_path / "a.png", colour)


def test_a_map_of_many_models_can_be_read() -> None:
    figure = draw_map(
        space_map(tuple(f"lab{i % 14}/a-model-with-a-long-name-{i}-of-$many$" for i in range(150))), "a test"
    )
    assert flaws(figure) == []
    caption = figure.axes[0].get_xlabel()
    named = [text.get_text() for text in figure.axes[0].texts]
    assert 10 < len(named) < 150
    assert f"{len(named)} of 150 names" in caption
    assert "space of a test" in caption


@pytest.mark.parametrize(("slope", "side"), [(1.0, "right"), (-1.0, "left")])
def test_a_maps_title_says_what_the_first_dimension_is_only_where_it_is_that(slope: float, side: str) -> None:
    drawn = space_map(tuple(f"lab/{i}" for i in range(20)))
    level = np.linspace(0.2, 0.9, 20)
    along = replace(drawn, xy=np.stack([slope * level, np.zeros(20)], axis=1), mean_accuracy=level)
    assert draw_map(along, "a test").get_suptitle().replace("\n", " ") == (
        f"What sets 20 models apart most is mean accuracy, higher to the {side} (r = 1.00)"
    )
    across = replace(along, xy=along.xy[:, ::-1])
    assert draw_map(across, "a test").get_suptitle() == "20 models: the map shows 90% of their squared distances"


def test_equal_models_and_a_single_one_can_be_drawn(tmp_path: Path) -> None:
    save(draw_map(space_map(("lab/one",)), "one"), tmp_path / "one.png")
    same = space_map()
    flat: NDArray[np.float64] = np.full(len(MODELS), 0.5)
    figure = draw_map(
        SpaceMap(MODELS, np.zeros((len(MODELS), 2)), 1.0, {}, flat, same.neighbors, same.evaluations), "the same"
    )
    assert flaws(figure) == []
    assert has_colour(tmp_path / "one.png", COLOURS[0])


def data_of(html: str) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_the_page_holds_all_it_shows_and_needs_nothing_else() -> None:
    drawn = space_map()
    html = html_page(drawn, "A <title>")
    assert "<title>A &lt;title&gt;</title>" in html
    assert not re.findall(r"https?://", html)
    assert not re.search(r"<(link|img|iframe)\b|\bsrc\s*=|@import|url\(|fetch\(|XMLHttpRequest", html)
    data = data_of(html)
    assert [model["name"] for model in data["models"]] == list(MODELS)
    assert data["colours"] == colours(MODELS)
    for i, model in enumerate(data["models"]):
        np.testing.assert_allclose([model["x"], model["y"]], drawn.xy[i], atol=1e-5)
        assert model["figure"] == pytest.approx(drawn.mean_accuracy[i], abs=1e-4)
        details = data["details"][model["name"]]
        assert details["neighbors"] == [{"name": n.model, "distance": n.distance} for n in drawn.neighbors[i]]
        means = {kind["name"]: kind["mean"] for kind in details["kinds"]}
        assert means == pytest.approx({name: of[i] for name, of in drawn.accuracy.items()}, abs=1e-4)
    sizes = [model["size"] for model in data["models"]]
    assert (min(sizes), max(sizes)) == (0.0, 1.0)
    assert int(np.argmax(sizes)) == int(drawn.mean_accuracy.argmax())


def test_a_dendrogram_shows_its_clusters_in_colour(tmp_path: Path) -> None:
    distances = pairwise_distances(np.array([[0.0], [0.2], [9.0], [9.3], [30.0]]))
    tree = linkage(distances)
    figure = draw_dendrogram(tree, MODELS, cut_tree(tree, number=3), "title")
    assert flaws(figure) == []
    save(figure, tmp_path / "d.png")
    assert (
        sum(has_colour(tmp_path / "d.png", colour) for colour in COLOURS) == 2
    )  # the third cluster has no merge to draw
    assert has_colour(tmp_path / "d.png", GREY)
    save(draw_dendrogram(tree, MODELS, cut_tree(tree, number=5), "title"), tmp_path / "apart.png")
    assert not any(has_colour(tmp_path / "apart.png", colour) for colour in COLOURS)
