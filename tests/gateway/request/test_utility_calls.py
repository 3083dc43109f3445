"""Which requests are utility calls."""

import dataclasses

import orjson
import pytest

from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import Overrides, parse_chat
from gateway.request.utility_calls import mark_utility_call


@pytest.mark.parametrize(
    ("front_end", "prompt", "expected"),
    [
        ("open-webui", "### Task:\nGenerate a concise title summarizing the chat history.\n### Output:\nJSON", True),
        ("open-webui", "### Task:\nPredict 3-5 useful messages this user might naturally send next.\n", True),
        ("open-webui", "### Task:\nSuggest 3-5 relevant follow-up questions.\n", True),
        ("open-webui", "### Task:\nGenerate 1-3 broad tags.\n", True),
        ("open-webui", "### Task:\nName the chat.\n### Chat History:\n<chat_history>\nUSER: Hi\n</chat_history>", True),
        ("open-webui", "### Task:\nSummarize what is left out.\n\n### Messages Being Compacted:\nUSER: Hi", True),
        ("open-webui", "### Task:\nYou are an autocompletion system. Continue the text.", True),
        (
            "open-webui",
            "### Task:\nRespond to the user query using the context.\n<context>a <chat_history></context>",
            False,
        ),
        ("open-webui", "### Task:\nTranslate the text below.", False),
        ("open-webui", "### Task:" + " " * 7_900, False),
        ("open-webui", "Generate a concise title summarizing the chat history.", False),
        ("librechat", "Provide a concise, 5-word-or-less title for the conversation. Only the title.", True),
        (
            "librechat",
            "Analyze this conversation and provide:\n1. The language\n2. A title (5 words or less)\n\nHi",
            True,
        ),
        ("librechat", "Write a title, of five words or fewer, for this conversation.", True),
        ("librechat", "Hold on, before you continue I need you to write me a checkpoint of everything so far.", True),
        ("librechat", "Hold on again, update your checkpoint.", True),
        ("librechat", "Write a title of five words or fewer for my essay about whales.", False),
        ("librechat", "Hold on to your hat. Where is the next checkpoint?", False),
    ],
)
def test_the_prompts_of_front_ends_are_identified(front_end: str, prompt: str, expected: bool) -> None:
    calls = UtilityCalls(policy="cheap", front_ends=[front_end])
    request = parse_chat(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]}))
    assert mark_utility_call(request, calls).is_utility_call is expected


TITLE = "Provide a concise, 5-word-or-less title for the conversation. Only the title."


@pytest.mark.parametrize(
    ("model", "policy", "expected"),
    [("auto", None, True), ("gpt-4o", None, False), ("auto", "best", False)],
)
def test_a_request_that_names_a_model_or_overrides_the_policy_is_no_utility_call(
    model: str, policy: str | None, expected: bool
) -> None:
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": TITLE}]})
    request = dataclasses.replace(parse_chat(body), overrides=Overrides(policy=policy))
    marked = mark_utility_call(request, UtilityCalls(policy="cheap", front_ends=["librechat"]))
    assert marked.is_utility_call is expected
    assert marked.overrides.policy == ("cheap" if expected else policy)
    assert mark_utility_call(request, None) is request
