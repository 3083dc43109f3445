"""What the pages of requests are made of: calls in time, compared models, parameters of the address, series of charts."""

from typing import Any

import pytest

from gateway.console.candidates import finding, lines
from gateway.console.request_query import read_query, shown_rows
from gateway.console.request_view import messages_of
from gateway.console.time_chart import MOST_SERIES, OTHERS, colors_of, spending_chart, traffic_chart
from gateway.console.waterfall import waterfall
from gateway.core.errors import InvalidRequest
from gateway.record.activity import Activity, Span

CALL = {"deployment": "a/0", "cause": "timeout", "status": None, "began_ms": 5.0, "elapsed_ms": 100.0}
ROW: dict[str, Any] = {
    "failover": None,
    "latency_ms": 500.0,
    "overhead_ms": 4.0,
    "served": "b",
    "deployment": "b/0",
    "cache": None,
    "error": None,
    "parts": None,
    "call_began_ms": 105.0,
    "first_token_ms": 200.0,
    "ensemble": None,
}


def bars(**more: Any) -> list[tuple[str, str, float, float]]:
    return [(bar.what, bar.kind, bar.start, bar.end) for bar in waterfall(ROW | more).bars]


def test_calls_stand_where_they_began() -> None:
    assert bars(failover=[CALL, CALL | {"deployment": "c/0", "cause": "hedged", "began_ms": 60.0}]) == [
        ("gateway", "own", 0.0, 5.0),
        ("a/0", "failed", 5.0, 105.0),
        ("c/0", "given-up", 60.0, 160.0),
        ("b/0", "answered", 105.0, 500.0),
    ]


def test_a_continued_stream_goes_on_where_the_broken_one_ended() -> None:
    broken, parts = CALL | {"after_content": True}, [{"deployment": "a/0"}, {"deployment": "b/1"}]
    found = waterfall(ROW | {"failover": [broken], "parts": parts, "call_began_ms": 5.0})
    assert [(bar.what, bar.start, bar.end) for bar in found.bars[1:]] == [("a/0", 5.0, 105.0), ("b/1", 105.0, 500.0)]
    assert "after content had been sent" in found.bars[1].note
    assert not found.certain
    assert [what for what, *_ in bars(failover=[broken], error="stream_broken")] == ["gateway", "a/0"]


def test_old_rows_without_beginnings_are_drawn_one_after_the_other() -> None:
    old = {name: value for name, value in CALL.items() if name != "began_ms"}
    assert bars(failover=[old, old], call_began_ms=None) == [
        ("gateway", "own", 0.0, 4.0),
        ("a/0", "failed", 4.0, 104.0),
        ("a/0", "failed", 104.0, 204.0),
        ("b/0", "answered", 204.0, 500.0),
    ]


def test_what_was_not_called_is_no_bar() -> None:
    found = waterfall(ROW | {"failover": [CALL | {"called": False}]})
    assert [bar.what for bar in found.bars] == ["gateway", "b/0"]
    assert [one["deployment"] for one in found.skipped] == ["a/0"]
    assert [what for what, *_ in bars(served=None, deployment=None, call_began_ms=None, error="timeout")] == ["gateway"]
    assert [what for what, *_ in bars(cache="hit")] == ["gateway"]
    assert waterfall(ROW | {"latency_ms": 0.0}).share(5.0) == 0.0


def test_compared_models_are_ordered_and_the_chosen_one_is_always_shown() -> None:
    known = [(f"m{i}", i / 100, 0.001 * i) for i in range(40)] + [("unknown", None, 0.1)]
    found = lines(known, {"m39": 0.05}, {"m38": "limited"}, "m3", "m2")
    assert [line.model for line in found] == [*(f"m{i}" for i in range(39, 19, -1)), "m3", "m2"]
    assert (found[0].low, found[0].high) == (pytest.approx(0.34), pytest.approx(0.44))
    assert (found[1].state, found[-2].mark, found[-1].mark) == ("limited", "chosen, did not answer", "answered")
    assert finding(found) == "m3 was chosen: 0.36 below the P(correct) of m39, at 8% of its price"
    assert finding(lines(known, {}, {}, "m39", "m39")) == "m39 was the most likely to be right"
    assert finding([]) == "P(correct) and expected price of the models"


def test_filters_and_places_go_through_the_address() -> None:
    asked = read_query({"model": "a b&c", "errors": "yes", "words": " x ", "policy": "", "before": "1700000000.25,17"})
    assert asked.address == "/ui/requests?model=a+b%26c&words=x&errors=yes"
    assert asked.before is not None
    assert asked.at("before", asked.before).endswith("&before=1700000000.25%2C17")
    which = asked.condition(None, 1e9)
    assert (which.served, which.errors, which.words, which.policy) == ("a b&c", True, "x", None)
    both = {"key": "file:b", "probes": "yes"}
    for other in (read_query(both), read_query(both, operator=False)):
        which = other.condition("file:a", 1e9)
        assert (which.key_id, which.probes) == ("file:a", False)
    assert read_query(both, operator=False).values == {}
    assert read_query({"since": "1h"}).condition(None, 10_000.0).since == 6_400.0


@pytest.mark.parametrize(
    "parameters",
    [
        *({"before": text} for text in ("", "1", "x,1", "1,-1", "nan,1", "1,1,1", "1,١")),
        *({"model": "m" * 257}, {"model": "\0"}, {"conversation": "lost"}),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as error:
        read_query(parameters)
    assert error.value.param in parameters


def test_what_a_page_shows_is_read_from_its_question() -> None:
    assert shown_rows({"new": "17", "shown": "3,5", "from": "1.5"}) == (17, frozenset({3, 5}), 1.5)
    for wrong in ({"new": "x"}, {"new": "1", "shown": "a"}, {"new": "1", "from": "b"}):
        with pytest.raises(InvalidRequest):
            shown_rows(wrong)


def test_messages_become_texts_and_pictures_are_named_only() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    tool = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    found = messages_of([{"role": "user", "content": [{"type": "text", "text": "<b>"}, picture]}, tool])
    assert found[0] == ("user", "<b>\n[image_url]")
    assert found[1][0] == "assistant"
    assert '"tool_calls"' in found[1][1]
    assert messages_of(["one", "two"])[0][0] == "input"
    assert messages_of(None) == []


def activity_of(**nusd: int) -> Activity:
    found = Activity(Span(0, 3_600, 2), steps={"requests": [1, 0], "errors": [1, 0], "nusd": [0, 0]})
    found.model_steps = {name: [value, 0] for name, value in nusd.items()}
    found.totals |= {"requests": 1, "errors": 1, "nusd": sum(nusd.values())}
    return found


def test_charts_say_what_they_show() -> None:
    found = activity_of(dear=3_000_000_000, cheap=1_000_000_000)
    chart = spending_chart(found, ["cheap", "dear"])
    assert (chart.title, chart.unit) == ("dear took 75% of 4.00 USD", "USD per hour")
    assert [(one.name, one.color, one.values) for one in chart.series] == [
        ("dear", 2, [3.0, 0.0]),
        ("cheap", 1, [1.0, 0.0]),
    ]
    requests, failed = traffic_chart(found).series
    assert (requests.values, failed.values, failed.percent) == ([1, 0], [100.0, None], True)
    assert traffic_chart(found).title == "Up to 1 requests in an hour, 100% failed"
    assert spending_chart(activity_of(), []).title == "Nothing was spent"
    many = activity_of(**{f"m{i}": 10 + i for i in range(12)})
    names = [one.name for one in spending_chart(many, []).series]
    assert (len(names), names[-1]) == (MOST_SERIES + 1, OTHERS)


def test_models_of_a_chart_have_different_colours() -> None:
    models = [f"m{i}" for i in range(20)]
    colors = colors_of(["m0", "m8", "m16", "m1"], models)
    assert colors["m0"] == 1
    assert len(set(colors.values())) == 4
