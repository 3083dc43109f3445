"""The published plots: drawn from the results beside them, true to the published tables, legible, and of one palette."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matplotlib.colors import to_hex
from PIL import Image

from research.bench.looks import LOOKS
from research.bench.tables import TABLES, load, result_of
from research.redraw import RESULTS, main
from tests.router.explore.legible import flaws

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture(scope="module")
def figures() -> "Mapping[str, Figure]":
    found = {name: load(name).figure(result_of(name, RESULTS)) for name in TABLES}
    return {name: figure for name, figure in found.items() if figure is not None}


@pytest.mark.parametrize("name", TABLES)
def test_results_are_those_of_the_published_tables(name: str) -> None:
    reports = "".join(
        (RESULTS.parent / f"{report}.md").read_text(encoding="utf-8") for report in ("benchmark", "ensembles")
    )
    lines = [line for line in load(name).section(result_of(name, RESULTS)).splitlines() if line.startswith("|")]
    assert len(lines) > 5
    assert [line for line in lines if line not in reports] == []


@pytest.mark.parametrize("name", TABLES)
def test_a_plot_is_legible_and_the_published_one(figures: "Mapping[str, Figure]", name: str) -> None:
    assert flaws(figures[name]) == []
    with Image.open(RESULTS / f"{name}.png") as picture:
        assert picture.info["Title"] == figures[name].get_suptitle().replace("\n", " ")
        assert picture.size == pytest.approx(figures[name].bbox.size, abs=1)


def test_a_name_has_one_colour_and_one_mark_in_all_plots(figures: "Mapping[str, Figure]") -> None:
    seen = set()
    for figure in figures.values():
        lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_label() in LOOKS]
        dots = [part for axes in figure.axes for part in axes.collections if part.get_label() in LOOKS]
        colours = {str(line.get_label()): to_hex(line.get_color()) for line in lines}
        colours |= {str(part.get_label()): to_hex(part.get_facecolor()[0]) for part in dots}
        assert len(set(colours.values())) == len(colours), figure.get_suptitle()
        assert colours == {name: LOOKS[name][0] for name in colours}
        marks = {(str(line.get_label()), str(line.get_marker())) for line in lines if line.get_marker() != "None"}
        assert marks == {(name, LOOKS[name][1]) for name, _ in marks}
        seen |= colours.keys()
    assert {"ours", "EmbedLLM", "panel", "coverage-greedy", "best single", "random other model"} <= seen


def test_no_two_things_look_the_same() -> None:
    alike: dict[tuple[str, str], list[str]] = {}
    for name, look in LOOKS.items():
        alike.setdefault(look, []).append(name)
    assert sorted(names for names in alike.values() if len(names) > 1) == [
        ["EmbedLLM", "EmbedLLM's vector refitted"],
        ["best single", "best single of the others"],
        ["kNN", "kNN on its own evaluations"],
        ["random", "random other model"],
    ]


def test_plots_are_drawn_again_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["timing"], tmp_path)
    assert capsys.readouterr().out == f"{tmp_path / 'timing.png'}\n"
    with Image.open(tmp_path / "timing.png") as drawn:
        assert drawn.info["Title"].startswith("Embedding a model takes")


@pytest.mark.parametrize(
    ("single", "title"),
    [
        (0.6, "From 8 evaluations per model ours routes 10.0 points better than the best single model"),
        (0.75, "From 8 evaluations per model ours routes 5.0 points worse than the best single model"),
    ],
)
def test_a_title_follows_the_figures(single: float, title: str) -> None:
    mean = {"routing": {"macro": 0.7}, "best single": {"macro": single}, "prediction": {"macro": 0.7}}
    sizes = [{"evaluations": n, "mean": mean, "spread": {key: {} for key in mean}} for n in (8, 16, None)]
    figure = load("few_evaluations").figure({"sizes": sizes})
    assert figure is not None
    assert figure.get_suptitle().replace("\n", " ") == title


@pytest.mark.parametrize(
    ("coverage", "best", "title"),
    [
        ((2, 2), (1, 4), "2 models, chosen by predicted coverage, reach 99% of all models' accuracy; so do 1 to 4, the most accurate on train"),
        ((1, None), (1, None), "1 models, chosen by predicted coverage, reach 99% of all models' accuracy in 1 of 2 pools"),
        ((None, None), (3, 3), "Routing among few models"),
    ],
)  # fmt: skip
def test_a_title_about_few_models_tells_where_they_suffice(
    coverage: tuple[int | None, ...], best: tuple[int | None, ...], title: str
) -> None:
    pools = [
        {
            "pool": name,
            "full": 0.8,
            "curves": {"coverage-greedy": [0.5, 0.8], "most accurate on train": [0.4, 0.8]},
            "enough": {"coverage-greedy": c, "most accurate on train": b},
        }
        for name, c, b in zip(("mmlu_pro", "zeroeval"), coverage, best, strict=True)
    ]
    figure = load("portfolio").figure({"pools": pools})
    assert figure is not None
    assert figure.get_suptitle().replace("\n", " ") == title


def test_a_newcomer_may_gain() -> None:
    entry = {
        "evaluations": 32,
        "models": 3,
        "losses": [-0.01, -0.02, -0.03],
        "prediction": 0.7,
        "full_prediction": 0.68,
    }
    entry |= {"prediction_draws": [0.7], "routing": None, "routing_draws": None, "full_routing": None}
    figure = load("onboarding").figure(
        {"onboarding": [{"newcomers": ["a", "b", "c"], "ways": {"ours": [entry]}}], "cross-validation": []}
    )
    assert figure is not None
    assert figure.get_suptitle() == "Predicted from 32 evaluations, a newcomer gains 2.0 points against all it has"
