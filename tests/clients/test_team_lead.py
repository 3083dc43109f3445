"""A team lead's afternoon: keys with budgets, fifty requests, who spent what, a key that runs dry, a rotation and a revocation."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest
from anyio import to_thread
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "Hi"}]
TEAMS = [{"name": "search", "budget": [{"usd": 10, "per": "month"}]}]


async def until_dry(client: openai.AsyncOpenAI) -> tuple[int, openai.RateLimitError]:
    """How many requests were answered before the first one that was refused, and its error."""
    for answered in range(50):
        try:
            await client.chat.completions.create(model="llama-8b", messages=ASK, max_tokens=10)
        except openai.RateLimitError as exc:
            return answered, exc
    raise AssertionError("the budget never ended")


async def test_the_afternoon_of_a_team_lead(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:  # bills 7 + 3 tokens at 1 USD per million: 0.00001 USD a request
        path = write_portfolio(tmp_path, [entry("llama-8b", provider.base_url)], teams=TEAMS)

        async def locus(*arguments: str) -> str:
            command = [*arguments, "--config", str(path)]
            result = await to_thread.run_sync(lambda: CliRunner().invoke(main, command))
            assert result.exit_code == 0, result.output
            return result.stdout.strip()

        async with running(load_portfolio(path, {})) as run:
            alice = await locus("key", "create", "alice", "--team", "search", "--budget", "5/day")
            bob = await locus("key", "create", "bob", "--team", "search", "--budget", "0.00025/day", "--rpm", "600")
            of_alice, of_bob = (run.client.with_options(api_key=key, max_retries=2) for key in (alice, bob))
            async with anthropic.AsyncAnthropic(base_url=run.url, api_key=alice, max_retries=2) as claude:
                for _ in range(15):
                    await of_alice.chat.completions.create(model="auto", messages=ASK, max_tokens=10)
                    await claude.messages.create(model="llama-8b", messages=ASK, max_tokens=10)
            answered, dry = await until_dry(of_bob)
            assert 20 <= answered <= 27  # the budget and its overshoot of a tenth
            assert dry.code == "insufficient_quota"
            assert "The budget of 0.00025 USD per day of the key `bob`" in str(dry)
            assert dry.response.headers["x-should-retry"] == "false"
            assert int(dry.response.headers["retry-after"]) > 0
            assert len(provider.calls) == 30 + answered  # the client did not try again

            await eventually(lambda: not run.service.metrics.in_flight and not run.service.recorder.pending)
            spent = [orjson.loads(line) for line in (await locus("spend", "--by", "key", "--json")).splitlines()]
            assert [(row["key"], row["calls"], row["usd"]) for row in spent] == [
                ("alice", 30, pytest.approx(0.0003)),
                ("bob", answered, pytest.approx(answered * 0.00001)),
            ]

            stored = await of_alice.responses.create(model="llama-8b", input="Hi")
            new = await locus("key", "rotate", "alice", "--overlap", "0")
            await locus("key", "revoke", "bob")
            run.service.keys.forget()  # instead of the ten seconds that a process remembers a key
            for client, message in ((of_alice, "replaced by a new one"), (of_bob, "was revoked")):
                with pytest.raises(openai.AuthenticationError, match=message):
                    await client.chat.completions.create(model="llama-8b", messages=ASK)
            rotated = run.client.with_options(api_key=new)
            again = await rotated.responses.create(model="llama-8b", input="And?", previous_response_id=stored.id)
            assert again.output_text == "fine"
