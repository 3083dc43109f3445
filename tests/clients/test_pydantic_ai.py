"""Agents of Pydantic AI."""

import pytest
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients import tools
from tests.clients.serving import ServedGateway

pytestmark = pytest.mark.anyio
PLAN = "Plan a trip to Paris via Lyon."
TRIP = tools.Trip(city="Paris", days=3, stops=["Lyon"])


@pytest.fixture(params=["chat", "responses", "messages"])
def model(request: pytest.FixtureRequest, served: ServedGateway) -> Model:
    match request.param:
        case "chat":
            return OpenAIChatModel("auto", provider=OpenAIProvider(base_url=served.url, api_key="none"))
        case "responses":
            return OpenAIResponsesModel("auto", provider=OpenAIProvider(base_url=served.url, api_key="none"))
        case _:
            provider = AnthropicProvider(base_url=served.root, api_key="none")
            # It knows by their names which models take a schema, and has not heard of `auto`.
            return AnthropicModel("auto", provider=provider, profile={"supports_json_schema_output": True})


async def test_run(model: Model) -> None:
    result = await Agent(model, instructions="Be kind.").run("Say hello to Ada.")
    assert result.output == "You said: Say hello to Ada."
    assert result.usage.output_tokens == 6


async def test_stream(model: Model) -> None:
    async with Agent(model).run_stream("Say hello to Ada.") as result:
        deltas = [text async for text in result.stream_text(delta=True, debounce_by=None)]
    assert len(deltas) > 1
    assert "".join(deltas) == "You said: Say hello to Ada."


@pytest.mark.parametrize(
    ("question", "expected"), [(tools.QUESTION, tools.ANSWER), (tools.TWO_PLACES, tools.TWO_ANSWERS)]
)
async def test_tools(model: Model, question: str, expected: str) -> None:
    agent = Agent(model, tools=[tools.weather])
    assert (await agent.run(question)).output == expected
    async with agent.run_stream(question) as result:
        assert await result.get_output() == expected


async def test_structured_output_by_a_tool(model: Model) -> None:
    assert (await Agent(model, output_type=tools.Trip).run(PLAN)).output == TRIP


async def test_structured_output_by_schema(model: Model) -> None:
    agent = Agent(model, output_type=NativeOutput(tools.Trip))
    assert (await agent.run(PLAN)).output == TRIP
    async with agent.run_stream(PLAN) as result:
        assert await result.get_output() == TRIP


async def test_a_tool_and_then_structured_output(model: Model) -> None:
    result = await Agent(model, tools=[tools.weather], output_type=tools.Trip).run(tools.QUESTION)
    assert result.output.city == "Paris"
    assert result.usage.tool_calls == 1


async def test_the_conversation_goes_on(model: Model) -> None:
    agent = Agent(model)
    first = await agent.run("Say hello to Ada.")
    second = await agent.run("And to Bob.", message_history=first.all_messages())
    assert second.output == "You said: And to Bob."
