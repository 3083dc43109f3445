"""Runs coding agents against a gateway: each in a home of its own, with a limit of time."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.agents.coding_model import CodingModel
from tests.gateway.running import Gateway, entry, gateway

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules"
KEY = "sk-gateway-of-the-agents"
LIMIT_S = 120
CAPABLE = {"capabilities": ["tools", "vision", "json_schema"], "context_window": 200_000}


@dataclass(frozen=True)
class Ran:
    """How an agent ended: its exit status and what it printed."""

    status: int
    output: str


@asynccontextmanager
async def models(
    folder: Path, *brains: CodingModel, names: tuple[str, ...] = ("llama-70b", "llama-8b")
) -> AsyncIterator[Gateway]:
    """A gateway over one portfolio model for each of these."""
    async with _providers(brains) as addresses:
        listed = [entry(name, url, **CAPABLE) for name, url in zip(names, addresses, strict=False)]
        async with gateway(folder, listed, gateway={"keys": [KEY]}) as run:
            yield run


@asynccontextmanager
async def _providers(brains: tuple[CodingModel, ...]) -> AsyncIterator[list[str]]:
    if not brains:
        yield []
        return
    async with brains[0].provider() as first, _providers(brains[1:]) as others:
        yield [first.base_url, *others]


def executable(*places: str) -> str:
    """The path of an agent's program; skips the test where it is not installed."""
    for place in places:
        for found in INSTALLED.glob(place):
            return str(found)
    pytest.skip(f"{places[0]} is not installed: make test-clients installs it where npm can")


async def claude_code(run: Gateway, home: Path, prompt: str, *arguments: str) -> Ran:
    """Claude Code's print mode, with the Bash tool and the tools of the test's MCP server allowed."""
    program = executable("@anthropic-ai/claude-code-*/claude", "@anthropic-ai/claude-code-*/claude.exe")
    servers = {"words": {"command": sys.executable, "args": [str(HERE / "mcp_server.py")]}}
    config = home / "mcp.json"
    config.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    settings = {
        "ANTHROPIC_BASE_URL": run.url,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": "auto",
        "ANTHROPIC_SMALL_FAST_MODEL": "auto",
        "CLAUDE_CONFIG_DIR": str(home / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    allowed = ["--allowedTools", "Bash(*)", "mcp__words__secret_word"]
    command = [program, "-p", prompt, "--mcp-config", str(config), "--strict-mcp-config", *arguments, *allowed]
    return await _run(command, home, settings)


async def codex(run: Gateway, home: Path, prompt: str) -> Ran:
    """Codex CLI's exec mode, with the test's MCP server."""
    program = executable("@openai/codex-*/vendor/*/bin/codex", "@openai/codex-*/vendor/*/codex/codex")
    folder = home / "codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(
        f"""
model = "auto"
model_provider = "locus"
[model_providers.locus]
name = "Locus"
base_url = "{run.url}/v1"
env_key = "LOCUS_KEY"
wire_api = "responses"
[mcp_servers.words]
command = "{sys.executable}"
args = ["{HERE / "mcp_server.py"}"]
""",
        encoding="utf-8",
    )
    command = [program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt]
    return await _run(command, home, {"CODEX_HOME": str(folder), "LOCUS_KEY": KEY})


async def _run(command: list[str], home: Path, settings: dict[str, str]) -> Ran:
    work = home / "work"
    work.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env=kept | {"HOME": str(home)} | settings,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
        pytest.fail(f"{command[0]} did not end within {LIMIT_S} s:\n{output.decode(errors='replace')[-4000:]}")
    assert process.returncode is not None
    return Ran(process.returncode, output.decode(errors="replace"))
