"""`GET /admin/usage` over the ledger of a running gateway."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
ADMIN = {"authorization": "Bearer sk-admin"}
KEYS = [{"name": name, "key": f"sk-{name}", "team": team} for name, team in (("ci", "build"), ("bob", "qa"))]


async def test_what_was_spent_by_team_and_model(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        models = [
            entry("llama-8b", up.base_url),
            entry("llama-70b", up.base_url, price={"input": 10.0, "output": 10.0}),
        ]
        more = {"keys": KEYS, "teams": [{"name": "build"}, {"name": "qa"}], "gateway": {"admin_key": "sk-admin"}}
        async with running(load_portfolio(write_portfolio(tmp_path, models, **more), {})) as run:
            for key, model in (("sk-ci", "llama-8b"), ("sk-ci", "llama-8b"), ("sk-bob", "llama-70b")):
                await run.client.with_options(api_key=key).chat.completions.create(model=model, messages=ASK)
            await eventually(lambda: not run.service.metrics.in_flight and not run.service.recorder.pending)

            async def usage(query: str) -> Any:
                return (await run.http.get(f"/admin/usage?{query}", headers=ADMIN)).json()

            spent = await usage("by=team,model&from=1d")
            assert [(row["team"], row["model"], row["calls"], row["usd"]) for row in spent["data"]] == [
                ("qa", "llama-70b", 1, 0.0001),
                ("build", "llama-8b", 2, 0.00002),
            ]
            assert (spent["by"], spent["to"]) == (["team", "model"], None)
            assert [(row["key"], row["nusd"]) for row in (await usage(""))["data"]] == [
                ("bob", 100_000),
                ("ci", 20_000),
            ]
            assert (await usage("from=2000-01-01&to=2000-01-02T00:00:00Z"))["data"] == []
            for query, param in (("by=colour", "by"), ("from=soon", "from"), ("to=999999999999w", "to")):
                error = (await usage(query))["error"]
                assert (error["code"], error["param"]) == ("invalid_request", param)
            assert (await run.http.get("/admin/usage", headers={"x-api-key": "sk-ci"})).status_code == 401


async def test_a_gateway_without_a_database_has_no_ledger(tmp_path: Path) -> None:
    settings = {"admin_key": "sk-admin", "record": None}
    path = write_portfolio(
        tmp_path,
        [entry("llama-8b", "http://127.0.0.1:9/v1")],
        keys=KEYS[:1],
        teams=[{"name": "build"}],
        gateway=settings,
    )
    async with running(load_portfolio(path, {})) as run:
        refused = await run.http.get("/admin/usage", headers=ADMIN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
