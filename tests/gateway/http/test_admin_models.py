"""`/admin/models` and `locus model`: states and versions by the operator."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from tests.gateway.http.test_model_states import BEST, add, chat, route, serving, set_state
from tests.gateway.running import EMBEDDINGS, Gateway

pytestmark = pytest.mark.anyio


async def admin(run: Gateway, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await run.http.request(method, f"/admin/models{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers.get("cache-control", "no-store") == "no-store"
    return answer.json()


async def locus(folder: Path, *arguments: str, columns: int = 120) -> Result:
    config = str(folder / "portfolio.yaml")
    command = ["model", *arguments, "--config", config]
    return await asyncio.to_thread(CliRunner().invoke, main, command, env={"COLUMNS": str(columns)})


async def test_a_model_is_taken_out_and_brought_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        taken_out = await admin(run, "POST", f"/{BEST}/state", {"state": "quarantined", "reason": "wrong answers"})
        assert (taken_out["state"], taken_out["reason"]) == ("quarantined", "wrong answers")
        assert taken_out["effect"] == "quarantined (wrong answers): only served when named"
        assert (await chat(run)).headers["x-locus-model"] != BEST
        assert (await chat(run, BEST)).headers["x-locus-model"] == BEST
        back = await admin(run, "POST", f"/{BEST}/state", {"state": "live"})
        assert (back["state"], back["effect"]) == ("live", None)
        assert (await chat(run)).headers["x-locus-model"] == BEST


async def test_the_models_are_listed_with_state_version_and_trial(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await add(run, "mistral-7b", "openai/gpt-5.4")
        await set_state(run, "mistral-7b", "limited")
        await admin(run, "POST", "/llama-8b/state", {"state": "suspect", "deployment": "llama-8b/0"})
        listed = {one["name"]: one for one in (await admin(run, "GET", ""))["data"]}
        assert list(listed) == list(EMBEDDINGS)
        mistral = listed["mistral-7b"]
        assert (mistral["state"], mistral["version"], mistral["embedding"]) == ("limited", 1, EMBEDDINGS["mistral-7b"])
        assert mistral["trial"] == {"share": 0.1, "requests": 200, "served": 0, "target_error": None}
        assert mistral["evaluations"] > 0
        (deployment,) = listed["llama-8b"]["deployments"]
        assert (deployment["id"], deployment["state"], deployment["reason"]) == (
            "llama-8b/0",
            "suspect",
            "set by the operator",
        )
        plain = {"id": f"{BEST}/0", "state": "live", "reason": None, "since": None, "version": None}
        assert listed[BEST]["deployments"] == [plain]


async def test_a_version_is_rolled_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        before = (await route(run))["candidates"]
        await add(run, "mistral-7b", "openai/gpt-5.4")
        await add(run, "mistral-7b", "openai/gpt-4o-2024-11-20")
        history = (await admin(run, "GET", "/mistral-7b/history"))["data"]
        assert [(one["version"], one["live"], one["source"]) for one in history] == [
            (2, True, "onboarding"),
            (1, False, "onboarding"),
        ]
        assert "embedding" not in history[0]
        assert (await admin(run, "POST", "/mistral-7b/rollback"))["version"] == 1
        assert (await admin(run, "POST", "/mistral-7b/rollback", {"version": 2}))["version"] == 2
        assert (await admin(run, "POST", "/mistral-7b/rollback", {"version": 0}))["version"] is None
        assert (await route(run))["candidates"] == before
        failed = await admin(run, "POST", "/mistral-7b/rollback", status=404)
        assert "mistral-7b uses no version that could be rolled back" in failed["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "part"),
    [
        ("/unknown/state", {"state": "live"}, 404, "no chat model `unknown`"),
        ("/llama-8b/state", {"state": "asleep"}, 400, "`state` must be one of shadow, limited, live"),
        ("/llama-8b/state", {}, 400, "`state` must be one of"),
        (
            "/llama-8b/state",
            {"state": "limited", "deployment": "llama-8b/0"},
            400,
            "`state` of a deployment must be one of live, suspect",
        ),
        ("/llama-8b/state", {"state": "live", "reason": 5}, 400, "`reason` must be a text"),
        (
            "/llama-8b/state",
            {"state": "live", "deployment": "mistral-7b/0"},
            400,
            "`deployment` must be one of llama-8b/0",
        ),
        ("/llama-8b/state", {"state": "live", "for": 5}, 400, "Unknown field `for`"),
        ("/llama-8b/rollback", {"version": True}, 400, "`version` must be the number of a version"),
        ("/llama-8b/rollback", {"version": -1}, 400, "`version` must be the number of a version"),
        ("/llama-8b/rollback", {"version": 7}, 404, "llama-8b has no version 7"),
    ],
)
async def test_wrong_requests_are_refused(tmp_path: Path, path: str, body: Any, status: int, part: str) -> None:
    async with serving(tmp_path) as run:
        assert part in (await admin(run, "POST", path, body, status))["error"]["message"]


async def test_the_command_lists_and_rolls_back_versions(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        none = await locus(tmp_path, "history", "mistral-7b")
        assert none.stdout == "mistral-7b has no versions: what the model spaces say of it is in use.\n"
        await add(run, "mistral-7b", "openai/gpt-5.4")
        await add(run, "mistral-7b", "openai/gpt-4o-2024-11-20")
    shown = (await locus(tmp_path, "history", "mistral-7b")).stdout.splitlines()
    assert [line.split()[0] for line in shown[-2:]] == ["2", "1"]
    assert "live" in shown[-2]
    assert "live" not in shown[-1]
    narrow = (await locus(tmp_path, "history", "mistral-7b", columns=60)).stdout
    assert narrow.startswith("version 2  live  ")
    assert "…" not in narrow
    assert max(len(line) for line in narrow.splitlines()) <= 60
    back = await locus(tmp_path, "rollback", "mistral-7b")
    assert back.stderr == "mistral-7b uses version 1; a running gateway does so within seconds\n"
    off = await locus(tmp_path, "rollback", "mistral-7b", "0")
    assert "uses what the model spaces say of it" in off.stderr
    assert "no version 9" in (await locus(tmp_path, "rollback", "mistral-7b", "9")).stderr
    unknown = await locus(tmp_path, "history", "mistral")
    assert unknown.exit_code == 1
    assert "no chat model 'mistral'; it has llama-8b, llama-70b, mistral-7b" in unknown.stderr


async def test_the_command_sets_states(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        done = await locus(tmp_path, "state", BEST, "quarantined", "--reason", "wrong answers")
        assert done.stderr == f"{BEST} is quarantined; a running gateway uses this within seconds\n"
        await locus(tmp_path, "state", "llama-8b", "suspect", "--deployment", "llama-8b/0")
        assert run.service.model_watch is not None
        await run.service.model_watch.look()
        assert run.service.in_force.standings[BEST].reason == "wrong answers"
        assert run.service.in_force.standings["llama-8b"].suspects == ("llama-8b/0",)
    for arguments, words in (
        (("llama-8b", "probing"), "'probing' is not one of 'shadow', 'limited', 'live'"),
        (("llama-8b", "limited", "--deployment", "llama-8b/0"), "one of live, suspect, quarantined"),
        (("llama-8b", "live", "--deployment", "llama-8b/7"), "it has llama-8b/0"),
        (("llama-8b", "live", "--reason", "x" * 501), "at most 500 characters"),
        (("llama", "live"), "no chat model 'llama'"),
    ):
        wrong = await locus(tmp_path, "state", *arguments)
        assert wrong.exit_code != 0
        assert words in " ".join(wrong.stderr.replace("│", " ").split())
