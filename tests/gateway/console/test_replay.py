"""The pages of replay, advice and savings, as the server makes them."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.console.curve_chart import HEIGHT, curve_chart, ticks
from gateway.console.replay_view import Point, Range, advice_view, finding, replay_view
from tests.gateway.replay.logs import Logged, fill
from tests.gateway.running import Gateway, running

pytestmark = pytest.mark.anyio
PERIOD = {"since": "2027-01-01", "until": "2027-12-31"}


def point(
    accuracy: tuple[float, float, float] | None, usd: tuple[float, float, float] | None, name: str = "A"
) -> Point:
    other = None if usd is None else 0.01 + usd[0]
    ranges = None if accuracy is None else Range(*accuracy), None if usd is None else Range(*usd)
    return Point(name, name, *ranges, None, 0.01, other, 0.8, None, 0.5, [("m", 0.5, 1.0)], 0, 0, "")


@pytest.mark.parametrize(
    ("accuracy", "usd", "words"),
    [
        ((-0.004, -0.021, 0.013), (-0.0041, -0.005, -0.003), "A saves 41% of the cost; whether its accuracy differs"),
        (
            (0.03, 0.01, 0.05),
            (0.005, 0.004, 0.006),
            "A costs 50% more, and is 3.0 points more accurate (90% interval +1.0",
        ),
        (
            (-0.03, -0.05, -0.01),
            (0.0, -0.001, 0.001),
            "A costs about as much as the log, and is 3.0 points less accurate",
        ),
        (None, None, "A costs an unknown amount; its accuracy is unknown"),
    ],
)
def test_the_finding_says_what_the_intervals_allow(
    accuracy: tuple[float, float, float] | None, usd: tuple[float, float, float] | None, words: str
) -> None:
    assert finding(point(accuracy, usd)).startswith(words)


def test_a_chart_has_each_point_with_its_interval() -> None:
    points = [
        point((-0.1, -0.3, 0.05), (-0.009, -0.01, -0.008), "cheap"),
        point((0.02, 0.0, 0.04), (0.01, 0.009, 0.011), "dear"),
        point((0.02, 0.0, 0.04), (0.01, 0.009, 0.011), "same"),
        point(None, (0.01, 0.009, 0.011), "unknown"),
    ]
    chart = curve_chart(points, 1080)
    assert chart is not None
    log, cheap, dear, same = chart.marks
    assert (log.logged, log.label, log.top == log.bottom) == (True, "log", True)
    assert cheap.x < log.x < dear.x == same.x
    assert (cheap.label, dear.label, same.label) == ("cheap", "dear", "")
    assert cheap.top < log.y < cheap.y < cheap.bottom
    assert dear.bottom == pytest.approx(log.y)
    assert all(0 <= mark.top <= mark.bottom <= HEIGHT and 0 <= mark.x <= 1080 for mark in chart.marks)
    assert curve_chart([points[3]], 1080) is None


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 0.183), (-52.4, 29), (-0.001, 0.002), (0, 5), (3, 7e4)])
def test_ticks_are_few_and_enclose_all_values(low: float, high: float) -> None:
    found = ticks(low, high)
    assert found[0] <= low
    assert high <= found[-1]
    assert 2 <= len(found) <= 7


def test_advice_in_words() -> None:
    change = {"kind": "add", "add": "x", "remove": None, "usd_per_mtok": {"input": 0.1, "output": 0.4}, "share": 0.3}
    gains = {"accuracy_gain": 0.021, "accuracy_gain_in_nine_of_ten": 0.012, "usd_saved_at_equal_accuracy": 1e-5}
    losses = {"accuracy_gain": -0.001, "accuracy_gain_in_nine_of_ten": -0.004, "usd_saved_at_equal_accuracy": 0}
    removal = change | losses | {"kind": "remove", "add": None, "remove": "spare", "usd_per_mtok": None}
    needed = removal | {"remove": "needed", "accuracy_gain_in_nine_of_ten": -0.2}
    found: dict[str, Any] = {"requests": 300, "needed": 200, "enough": True, "advice": [change | gains]}
    view = advice_view(found | {"removals": [needed, removal]})
    assert view.findings == [
        "Best change: add x, +2.1 points at equal cost, +1.2 or more in nine of ten draws",
        "Superfluous: spare",
    ]
    assert (view.helpful[0].price, view.removals[0].words) == ("0.1 / 0.4", "remove spare")
    none = advice_view(found | {"advice": [], "removals": [needed]})
    assert none.findings == [
        "No change is sure to gain accuracy at equal cost",
        "Each model of the portfolio is of use",
    ]


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 220, conversation={3: "kept"})


async def shown(run: Gateway, body: dict[str, Any]) -> str:
    """The page of a job once it has ended."""
    started = await run.http.post("/ui/api/admin/replay", json=PERIOD | body, timeout=120)
    assert started.status_code == 202, started.text
    path = f"/ui/replay/job?id={started.json()['id']}"
    while 'role="status"><h2>It has run' in (page := (await run.http.get(path)).text):
        assert "hx-get" in page
    part = (await run.http.get(path, headers={"hx-request": "true"})).text
    assert part in page
    return page


async def test_each_kind_of_job_has_its_page(logged: Logged) -> None:
    async with running(load_portfolio(logged.path, {})) as run:
        run.http.headers["origin"] = run.url
        curve = await shown(run, {"cost_weights": [0, 1000]})
        without = await shown(run, {"policy": "best", "without": ["llama-70b"]})
        empty = await shown(run, {"since": "2026-01-01", "until": "2026-01-02"})
        advice = await shown(run, {"kind": "advice"})
        savings = await shown(run, {"kind": "savings"})
        listed = (await run.http.get("/ui/replay")).text
        missing = await run.http.get("/ui/replay/job?id=none")
    assert "<h2>Cost weight 1000 saves" in curve
    assert "219 of 220 requests" in curve
    assert "1 kept the model of their conversation" in curve
    assert "Policy best without llama-70b" in without
    assert "Nothing can be compared" in empty
    assert "Best change:" in advice or "No change is sure" in advice
    assert "Beside llama-70b for all" in savings
    assert "Replay: policy best, without llama-70b" in listed
    assert missing.status_code == 404


def test_a_view_of_a_replay_without_requests() -> None:
    report = {"requests": 3, "replayed": 0, "not_replayed": [{"requests": 3, "meaning": "got no answer"}]}
    view = replay_view([report | {"same_choice_now": 0.0}], {})
    assert (view.points, view.best, view.reasons) == ([], None, [(3, "got no answer")])
