"""What the shipped policy `panel` gains with the simulated models, whose answers can be checked, through the real gateway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.commands.demo_portfolio import demo_portfolio
from gateway.config.portfolio import Portfolio
from gateway.config.settings import Settings
from gateway.demo.provider import SimulatedProvider
from gateway.demo.questions import Question, generate
from gateway.demo.skills import MODELS
from tests.gateway.running import Gateway, running

pytestmark = pytest.mark.anyio
PEERS = "multiple choice"  # the kind in which no model leads
AT_ONCE = 8


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[Gateway, SimulatedProvider]]:
    async with SimulatedProvider(pause_s=0) as provider:
        real = Portfolio(path=None, models=(), settings=Settings(record=None))
        async with running(demo_portfolio(provider.base_urls, real)) as run:
            yield run, provider


async def rights(run: Gateway, policy: str, questions: Sequence[Question]) -> list[bool]:
    """Whether the answer to each question is right."""
    places = asyncio.Semaphore(AT_ONCE)

    async def right(question: Question) -> bool:
        async with places:
            body = {"model": f"auto:{policy}", "messages": [{"role": "user", "content": question.prompt}]}
            response = await run.http.post("/v1/chat/completions", json=body)
        text: str = response.json()["choices"][0]["message"]["content"]
        return _is_right(text, question)

    return await asyncio.gather(*map(right, questions))


def _is_right(text: str, question: Question) -> bool:
    return f"The answer is {question.answer}." in text


def best_single(questions: Sequence[Question]) -> int:
    """The number of right answers of the model that has most."""
    return max(sum(_is_right(model.answer(one.prompt), one) for one in questions) for model in MODELS)


async def test_among_peers_the_panel_is_4_points_better_than_any_single_call_at_2_6_calls() -> None:
    questions = [one for one in generate(1_200, 2_026) if one.kind == PEERS]
    assert len(questions) >= 200
    async with demo() as (run, provider):
        one_call = sum(await rights(run, "best", questions))
        assert provider.calls.total() == len(questions)
        provider.calls.clear()
        panel = sum(await rights(run, "panel", questions))
        calls = provider.calls.total() / len(questions)
    assert panel - max(one_call, best_single(questions)) >= 0.04 * len(questions)
    assert 2 <= calls <= 2.6


async def test_where_one_model_leads_the_panel_is_no_worse_and_rarely_asks_several() -> None:
    questions = [one for one in generate(240, 2_027) if one.kind != PEERS]
    async with demo() as (run, provider):
        one_call = sum(await rights(run, "best", questions))
        provider.calls.clear()
        panel = sum(await rights(run, "panel", questions))
        calls = provider.calls.total() / len(questions)
    assert panel >= one_call - 0.01 * len(questions)
    assert panel > best_single(questions) + 0.04 * len(questions)
    assert calls < 1.25
