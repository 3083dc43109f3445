"""Coding agents as people run them, through the gateway: loops of tools, faults in the middle, strict models, MCP.

They are programs from npm, which `make test-clients` installs; where they are missing, the tests are skipped.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.clients.agents.coding_model import CodingModel, Step, cut, overloaded
from tests.clients.agents.running import Ran, claude_code, codex, models
from tests.gateway.running import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("agent", [claude_code, codex])]

Agent = Callable[[Gateway, Path, str], Awaitable[Ran]]
TASK = "Write the product of 6 and 7 into answer.txt, and say the secret word."
SHELL = r"^(Bash|exec_command|shell_command|shell|local_shell)$"
MCP = r"secret_word$"


def shell(command: str) -> Step:
    """A step that runs a command, by whatever name the agent's tool has for it."""
    return Step(SHELL, {"command": command, "cmd": command, "description": "Runs a command"})


PLAN = [shell("echo $((6*7)) > answer.txt"), shell("cat answer.txt"), Step(MCP, {})]


def check(ran: Ran, home: Path) -> None:
    """The task is done: the commands ran, their results and the MCP tool's reached the model, its answer the user."""
    assert ran.status == 0, ran.output[-4000:]
    assert (home / "work" / "answer.txt").read_text().strip() == "42"
    assert "Done:" in ran.output
    assert "42" in ran.output.rpartition("Done:")[2]
    assert "marmalade" in ran.output.rpartition("Done:")[2]


async def test_a_loop_of_tool_calls(agent: Agent, tmp_path: Path) -> None:
    one, other = CodingModel(PLAN), CodingModel(PLAN)
    async with models(tmp_path, one, other) as run:
        check(await agent(run, tmp_path, TASK), tmp_path)
        assert len(one.calls) + len(other.calls) == len(PLAN) + 1
        assert not (one.calls and other.calls)  # tool calls under way stay with their model


async def test_a_stream_that_is_cut_within_a_tool_call_is_asked_for_again(agent: Agent, tmp_path: Path) -> None:
    one = CodingModel(PLAN, faults=[None, cut()])
    async with models(tmp_path, one) as run:
        check(await agent(run, tmp_path, TASK), tmp_path)
        assert not one.faults
        assert [record["error"] for record in await run.records() if record["error"]] == ["stream_broken"]


async def test_an_overloaded_model_has_a_stand_in(agent: Agent, tmp_path: Path) -> None:
    one, other = CodingModel(PLAN, faults=[None, *[overloaded()] * 9]), CodingModel(PLAN)
    async with models(tmp_path, one, other) as run:
        check(await agent(run, tmp_path, TASK), tmp_path)
        assert other.calls
        assert all(record["status"] == 200 for record in await run.records())


async def test_an_agent_comes_back_where_all_models_are_overloaded(agent: Agent, tmp_path: Path) -> None:
    one = CodingModel(PLAN, faults=[None, *[overloaded()] * 4])
    async with models(tmp_path, one) as run:
        check(await agent(run, tmp_path, TASK), tmp_path)
        assert not one.faults


async def test_a_strict_chat_template_takes_what_agents_send(agent: Agent, tmp_path: Path) -> None:
    one = CodingModel(PLAN, strict=True)
    async with models(tmp_path, one) as run:
        check(await agent(run, tmp_path, TASK), tmp_path)
        assert all(record["error"] is None for record in await run.records())
