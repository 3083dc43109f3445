"""The pages of keys, teams and budgets, as the server makes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config.access import Budget, Limits
from gateway.config.portfolio_file import load_portfolio
from gateway.console.access_list import AccessList
from gateway.console.day_chart import day_chart
from gateway.console.spending import BudgetView, Spending
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.limits.windows import window_at
from gateway.store.usage_tables import USAGE_HOURLY
from tests.gateway.running import Gateway, entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"ADMIN": "sk-admin", "CI": "sk-ci"}
ADMIN = {"authorization": "Bearer sk-admin"}
NASTY = "<img src=x onerror=alert(1)>"


@asynccontextmanager
async def operated(folder: Path) -> AsyncIterator[Gateway]:
    """A gateway whose client has the session of the operator."""
    async with ScriptedProvider() as up:
        path = write_portfolio(
            folder,
            [entry("llama-8b", up.base_url), entry("llama-70b", up.base_url)],
            keys=[{"name": "ci", "key": "os.environ/CI", "team": "build", "budget": [{"usd": 0.0005, "per": "day"}]}],
            teams=[{"name": "build", "budget": [{"usd": 300, "per": "month"}]}],
            gateway={"admin_key": "os.environ/ADMIN"},
        )
        async with running(load_portfolio(path, ENVIRONMENT)) as run:
            run.http.headers["origin"] = run.url
            await run.http.post("/ui/login", data={"key": "sk-admin"})
            yield run


async def admin(run: Gateway, method: str, path: str, body: Any = None) -> Any:
    answer = await run.http.request(method, f"/admin/{path}", json=body, headers=ADMIN)
    assert answer.is_success, answer.text
    return answer.json()


async def ask(run: Gateway, key: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    client = run.client.with_options(api_key=key)
    await client.chat.completions.create(model="llama-8b", messages=messages, max_tokens=50)


async def text(run: Gateway, path: str, status: int = 200) -> str:
    answer = await run.http.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_keys_and_teams_with_what_they_have_spent(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        made = await admin(run, "POST", "keys", {"name": NASTY, "rpm": 60, "models": ["llama-8b"], "team": "build"})
        await admin(run, "POST", "teams", {"name": "short"})
        await admin(run, "POST", "keys", {"name": "lost", "team": "short"})
        await admin(run, "DELETE", "teams/short")
        await admin(run, "POST", "keys", {"name": "old", "expires": "2020-01-01"})
        for _ in range(3):
            await ask(run, "sk-ci")
        await eventually(lambda: not run.service.recorder.pending)
        access = AccessList(run.service)
        keys, count = await access.keys()
        by_name = {key.fields["name"]: key for key in keys}
        assert count == 4
        assert {name: key.state for name, key in by_name.items()} == {
            "ci": "in use",
            NASTY: "in use",
            "lost": "refused: its team was deleted",
            "old": "expired",
        }
        (budget,) = by_name["ci"].budgets
        assert budget.spent is not None
        assert 0 < budget.spent == by_name["ci"].recent
        assert ([key.fields["name"] for key in (await access.keys("BUIL"))[0]]) == ["ci", NASTY]
        (build,) = await access.teams()
        assert (build.recent, build.keys, build.budgets[0].spent) == (budget.spent, 2, budget.spent)
        listed = await text(run, "/ui/keys")
        assert "0.0005 USD a day" in listed
        assert "&lt;img src=x" in listed
        assert NASTY not in listed
        page = await text(run, f"/ui/keys/key?id={made['id']}")
        assert "llama-8b; all policies" in page
        assert "60 requests a minute" in page
        assert made["key"] not in page + listed
        assert "changed and removed there" in await text(run, "/ui/keys/key?id=file:ci")
        await text(run, "/ui/keys/change?id=file:ci", 404)
        await text(run, "/ui/keys/key?id=none", 404)
        await text(run, "/ui/keys/team?name=none", 404)
        assert 'value="60"' in await text(run, f"/ui/keys/change?id={made['id']}")


async def test_the_holder_of_a_key_sees_its_own_only(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        other = await admin(run, "POST", "keys", {"name": "other", "team": "build"})
        await ask(run, "sk-ci")
        await ask(run, other["key"])
        await eventually(lambda: not run.service.recorder.pending)
        await run.http.post("/ui/logout")
        await run.http.post("/ui/login", data={"key": "sk-ci"})
        page = await text(run, f"/ui/keys?id={other['id']}")
        assert "Key ci" in page
        assert "0.0005 USD a day" in page
        assert "other" not in page.replace("other clients", "")
        for path in (
            "key?id=file:ci",
            f"key?id={other['id']}",
            "new",
            "change?id=file:ci",
            "team?name=build",
            "new-team",
        ):
            assert "for the operator" in await text(run, f"/ui/keys/{path}", 403)
        refused = await run.http.post("/ui/api/admin/keys", json={"name": "mine"})
        assert refused.status_code == 403


async def test_a_budget_counts_what_was_spent_before_it_existed(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        database, now = run.service.database, run.service.limiter.now
        assert database is not None
        start = window_at("month", "UTC", now).start
        row = {"hour": start, "key_id": "k", "team": "", "model": "m", "policy": "", "nusd": 7, "requests": 1}
        async with database.begin() as connection:
            await connection.execute(USAGE_HOURLY.insert().values(row))
        budgets = (Budget(10, "month"), Budget(5, "ever"), Budget(0, "week"))
        found = await Spending(run.service).budgets([("key", "k", Limits(budgets)), ("key", "j", Limits(budgets[:1]))])
        spent = [budget.spent for budget in found["key", "k"]]
        assert spent[:2] == [7, 7]
        assert [budget.ends is None for budget in found["key", "k"]] == [False, True, False]
        assert [budget.spent for budget in found["key", "j"]] == [0]


@pytest.mark.parametrize(
    ("limit", "spent", "reserved", "level", "bar"),
    [
        (100, 20, 30, "good", (20, 30)),
        (100, 80, 30, "warn", (80, 20)),
        (100, 120, 5, "bad", (100, 0)),
        (0, 0, 0, "bad", (100, 0)),
        (100, None, None, "", (0, 0)),
    ],
)
def test_the_bar_of_a_budget(
    limit: int, spent: int | None, reserved: int | None, level: str, bar: tuple[float, float]
) -> None:
    view = BudgetView(limit, "day", 0.8, spent, reserved, None)
    assert (view.level, view.bar) == (level, bar)


def test_a_chart_of_days() -> None:
    noon = 1_800_014_400.0  # 2027-01-15
    chart = day_chart({"2027-01-14": 3 * NUSD_PER_USD, "2027-01-01": NUSD_PER_USD}, noon, 3, 330)
    assert [bar.day for bar in chart.bars] == ["2027-01-13", "2027-01-14", "2027-01-15"]
    assert chart.total == 3 * NUSD_PER_USD
    assert chart.peak is chart.bars[1]
    assert [usd for _, usd in chart.lines] == ["0", "1", "2", "3"]
    assert chart.bars[1].y == chart.lines[-1][0]
    assert [bar.height == 0 for bar in chart.bars] == [True, False, True]
    small = day_chart({"2027-01-15": 42_000}, noon, 30, 1080)
    assert [usd for _, usd in small.lines][-1] == "0.00006"
    assert day_chart({}, noon, 30, 330).peak is None
