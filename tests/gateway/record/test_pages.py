"""Pages of the record and sums of the overview, in both databases: what they give, and that no query reads the whole record."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, event

from gateway.config.database_location import DatabaseLocation
from gateway.record import pages
from gateway.record.activity import Span, activity
from gateway.record.one_request import find_row, known_models, outcomes_of_request
from gateway.record.pages import Cursor, last_id, new_of, page_of
from gateway.record.reading import RequestFilter
from gateway.store.engines import sync_engine
from scripts.make_record import make_record
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
END, DAYS, REQUESTS = 1_790_000_000.0, 2.0, 600
FILTERS = [
    RequestFilter(),
    RequestFilter(key_id="file:app-1"),
    RequestFilter(errors=True),
    RequestFilter(stand_ins=True),
    RequestFilter(served="llama-70b"),
    RequestFilter(policy="cheap"),
    RequestFilter(conversation="switched"),
    RequestFilter(words="case 7"),
    RequestFilter(since=END - 86_400, until=END - 3_600, served="llama-8b", errors=True),
    RequestFilter(key_id="file:app-0", stand_ins=True, policy="balanced"),
]


@contextmanager
def reading(location: DatabaseLocation) -> Iterator[Connection]:
    engine = sync_engine(location)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def all_pages(connection: Connection, which: RequestFilter, size: int) -> list[int]:
    """The ids of all pages, from the newest to the oldest; then back again, which must give the same."""
    found, at = [], None
    while True:
        page = page_of(connection, which, at, size=size)
        found += [row["id"] for row in page.rows]
        if page.older is None:
            break
        at = page.older
    back: list[int] = [row["id"] for row in page.rows]
    while page.newer is not None:
        page = page_of(connection, which, page.newer, newer=True, size=size)
        back = [row["id"] for row in page.rows] + back
    assert back == found
    return found


async def test_pages_have_each_request_that_is_meant_once_and_in_order(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_record(location, REQUESTS, DAYS, END)
    with reading(location) as connection:
        everything = page_of(connection, RequestFilter(), size=REQUESTS)
        assert len(everything.rows) == REQUESTS
        assert (everything.newer, everything.older) == (None, None)
        times = [row["time"] for row in everything.rows]
        assert times == sorted(times, reverse=True)
        for which in FILTERS:
            meant = [row["id"] for row in page_of(connection, which, size=REQUESTS).rows]
            assert 0 < len(meant) < REQUESTS or which == RequestFilter()
            assert all_pages(connection, which, 37) == meant
            # A page that may look at few requests only says how far it has got, and the next one goes on.
            with monkeypatch.context() as few:
                few.setattr(pages, "MOST_LOOKED", 40)
                few.setattr(pages, "MOST_SEARCHED", 40)
                few.setattr(pages, "_FIRST", 15)
                assert all_pages(connection, which, 10) == meant


async def test_filters_mean_what_they_say(location: DatabaseLocation) -> None:
    await make_record(location, REQUESTS, DAYS, END)
    with reading(location) as connection:

        def of(**more: Any) -> list[dict[str, Any]]:
            return page_of(connection, RequestFilter(**more), size=REQUESTS).rows

        assert {row["key_id"] for row in of(key_id="file:app-1")} == {"file:app-1"}
        assert {row["served"] for row in of(served="gpt-mini")} == {"gpt-mini"}
        assert all(row["error"] or row["failover"] for row in of(errors=True))
        assert all(row["served"] != row["chosen"] for row in of(stand_ins=True))
        assert all(END - 3e4 <= row["time"] < END - 1e4 for row in of(since=END - 3e4, until=END - 1e4))
        (found,) = of(words="CASE 77:")  # in lower or upper case
        assert found["request_id"] == f"req_{77:032x}"
        assert of(words="100%") == []  # no pattern
        assert of(words='invoices "') == []


async def test_new_requests_are_found_once_also_those_that_were_committed_late(location: DatabaseLocation) -> None:
    await make_record(location, 300, DAYS, END)
    with reading(location) as connection:
        last, which = last_id(connection), RequestFilter()
        first = page_of(connection, which)
        shown, oldest = {row["id"] for row in first.rows}, first.rows[-1]["time"]
        assert new_of(connection, which, last, shown, oldest) == ([], False)
        late = shown - {first.rows[7]["id"]}  # as if the eighth was not committed yet when the page was read
        (row,), more = new_of(connection, which, last, late, oldest)
        assert (row["id"], more) == (first.rows[7]["id"], False)
        rows, more = new_of(connection, which, last - 200, set(), oldest)
        assert (len(rows), more) == (pages.PAGE, True)
        assert new_of(connection, replace(which, policy="none"), 0, set(), 0.0) == ([], False)


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
async def test_no_query_of_a_page_scans_the_requests(location: DatabaseLocation) -> None:
    await make_record(location, 300, DAYS, END)
    with reading(location) as connection:
        statements: list[tuple[str, Any]] = []

        @event.listens_for(connection, "before_cursor_execute")
        def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            if statement.lstrip().startswith("SELECT"):
                statements.append((statement, parameters))

        for which in FILTERS:
            for at, newer in ((None, False), (Cursor(END - 40_000, 100), False), (Cursor(END - 40_000, 100), True)):
                page_of(connection, which, at, newer=newer)
            new_of(connection, which, last_id(connection) - 5, set(), END)
        row = find_row(connection, f"req_{77:032x}", "file:app-1") or find_row(connection, f"req_{77:032x}", None)
        assert row is not None
        known_models(connection, row)
        outcomes_of_request(connection, row)
        of_pages = len(statements)
        for key_id in (None, "file:app-1"):
            for days in (1, 7, 30):
                activity(connection, Span.until(END, days), key_id)
        assert not any("requests " in sql and "FROM requests" in sql for sql, _ in statements[of_pages:])
        for sql, parameters in dict(statements[:of_pages]).items():
            plan = [step[-1] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            for step in plan:
                # An index may be read from one end, as long as the query wants a limited number of its entries.
                whole = re.match(r"SCAN (requests|outcomes)\b", step) is not None
                assert not whole or ("INDEX" in step and "LIMIT" in sql) or "max(" in sql, (sql, plan)
                assert "outcomes" in sql or not step.startswith("USE TEMP B-TREE"), (sql, plan)


async def test_the_overview_sums_what_the_record_has(location: DatabaseLocation) -> None:
    await make_record(location, REQUESTS, DAYS, END)
    with reading(location) as connection:
        for days, key_id in ((1, None), (7, None), (7, "file:app-1")):
            span = Span.until(END, days)
            rows = page_of(connection, RequestFilter(since=span.since, key_id=key_id), size=REQUESTS).rows
            found = activity(connection, span, key_id)
            assert found.totals["requests"] == sum(found.steps["requests"]) == len(rows)
            assert found.totals["errors"] == sum(found.steps["errors"]) == sum(row["error"] is not None for row in rows)
            nusd = sum(row["cost_nusd"] or 0 for row in rows)
            assert found.nusd == nusd == sum(found.steps["nusd"]) == sum(map(sum, found.model_steps.values()))
            assert found.totals["stand_ins"] == sum(row["served"] not in (None, row["chosen"]) for row in rows)
            assert found.totals["compared"] == sum(bool(row["policy"] and row["served"]) for row in rows)
            assert found.saved_nusd > 0
            assert len(found.span.times) == len(found.steps["nusd"])
            took = sorted(row["latency_ms"] for row in rows if row["error"] is None)
            assert found.p50_ms == pytest.approx(took[len(took) // 2], rel=0.15)
            if key_id is None:
                assert sum(one["nusd"] for one in found.keys.values()) <= nusd
                assert next(iter(found.keys)) == "file:app-0"
            else:
                assert found.keys == {}
