"""The text by which a conversation is routed."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat.dialect import Chat
from gateway.api.completions.dialect import Completions
from gateway.api.messages.dialect import Messages
from gateway.request.agent_turns import RESULT_OF
from gateway.request.query_text import message_text, query_text, user_text
from tests.gateway.api import exchanges


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([("system", "be kind"), ("user", "Why is the sky blue, please?")], "Why is the sky blue, please?"),
        (
            [("user", "Write a sorting function."), ("assistant", "..."), ("user", "go on")],
            "Write a sorting function.\ngo on",
        ),
        (
            [("user", "a long question about many things"), ("user", "another long question, the last")],
            "another long question, the last",
        ),
        ([("system", "only a system prompt")], "only a system prompt"),
        ([("user", "hi")], "hi"),
        ([("user", "")], ""),
    ],
)
def test_the_query_text_rule(messages: list[tuple[str, str]], expected: str) -> None:
    assert query_text([{"role": role, "content": content} for role, content in messages]) == expected


def test_the_query_text_is_bounded_and_reads_parts() -> None:
    parts = [
        {"type": "text", "text": "look at this picture here"},
        {"type": "image_url"},
        {"type": "text", "text": "and this"},
    ]
    assert query_text([{"role": "user", "content": parts}]) == "look at this picture here\nand this"
    assert len(query_text([{"role": "user", "content": "x" * 1_000_000}])) == 8_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<system-reminder>state</system-reminder>\n What is this? ", "What is this?"),
        ("Why?\n<environment_details x='1'>a</environment_details> And how?", "Why?\nAnd how?"),
        ("What does <system-reminder>a</system-reminder> do?", "What does <system-reminder>a</system-reminder> do?"),
        (
            "<system-reminder>a<environment_details>b</system-reminder>c</environment_details>",
            "c</environment_details>",
        ),
        ("<system-reminder>never closed. </other>", "<system-reminder>never closed. </other>"),
        ("<system-reminder>all of it</system-reminder>", "<system-reminder>all of it</system-reminder>"),
        ("<system-reminders>a</system-reminders>", "<system-reminders>a</system-reminders>"),
    ],
)
def test_elements_of_agents_are_removed(text: str, expected: str) -> None:
    assert query_text([{"role": "user", "content": text}]) == expected


SLOW_UNITS = [
    *["<system-reminder>", "<system-reminder ", "<", "<system-reminder></environment_details>", "</system-reminder>"],
    *[
        "<system_a_b",
        "<user_query>\n",
        "</context>\n<context>\n",
        "\n\n",
        "\n",
        " ",
        "a\n\n",
        "# \n",
        "\n# format",
        "```\n",
    ],
    *[
        "user input:\n",
        "user input\n---\n",
        "Question:\n",
        "\nThought:\nAction:",
        "\nBegin!",
        "[[ ## a ## ]]\n",
        "MUST ",
    ],
    *["Current Task: ", "This is the expected ", "\n---\nTask:\n", "\n (reminder to respond ", "Call id: ", "___\n"],
]
BEGINNINGS = ["", "You are x.\n", "[[ ## question ## ]]\n", "New task:\n", "<context>\n", "x\nThought:\nObservation:\n"]


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("unit", SLOW_UNITS)
def test_texts_of_any_length_take_linear_time(unit: str, beginning: str) -> None:
    text = beginning + unit * (400_000 // len(unit)) + "</"  # in quadratic time: hours
    messages = [("system", text), ("user", text[:19_000]), ("user", text)]
    assert len(query_text([{"role": role, "content": content} for role, content in messages])) <= 8_000


def test_a_message_has_the_text_of_its_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert message_text({"role": "user", "content": parts}) == "a\nb"
    assert message_text({"role": "assistant", "content": None}) == ""
    assert message_text({"role": "assistant"}) == ""


def test_the_text_of_a_user_is_without_the_elements_of_agents() -> None:
    assert user_text({"role": "user", "content": "<environment_context>x</environment_context>Why?"}) == "Why?"


def conversation(*contents: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """User and assistant messages in turn, the first and the last one of the user."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


STEP = "Thought: I search.\nAction: search\nAction Input: it"
RULES = (
    "# *SEARCH/REPLACE block* Rules:\n\nEvery block MUST have this format: a path, a fence, the lines before and after."
)
BLOB = "Here is the user's input (answer with a blob):"
REACT = "Question: {input}\nThought:\nAction:\nObservation:\n\nBegin!\n\nQuestion: {input}\nThought:"
SCHEMA = "You must format your output as a JSON value that adheres to a schema.\n```json\n{}\n```"


@pytest.mark.parametrize(
    "messages",
    [
        conversation(f"After each of my messages, aider sends this:\n\n{RULES}\n\nCan I turn that off?"),
        conversation(f"What does aider send?\n\n{RULES}", "Rules.", f"Why do small models fail with it?\n\n{RULES}"),
        conversation(
            "What does this template of dspy mean?\n\n[[ ## question ## ]]\n{question}\n\n[[ ## completed ## ]]"
        ),
        conversation(
            "[[ ## question ## ]]\n{question}\n\n[[ ## answer ## ]]\n{answer}\n\nWhich library has this format?"
        ),
        conversation(*["Explain the handshake of TLS in detail, with all messages, please."] * 3),
        conversation(
            "Translate to French:\n\nThe cat sleeps on the sofa.", "...", "Translate to French:\n\nWho has seen my cat?"
        ),
        conversation(f"Explain this prompt of n8n:\n\nTOOLS\n------\nsearch\n\nUSER'S INPUT\n------\n{BLOB}\n\nhello"),
        conversation(f"What is wrong with my ReAct prompt? The model repeats itself.\n\n{REACT}"),
        conversation(
            "How do I note experiments?", "Write what you see.", "Observation: it is blue. Is this a good note?"
        ),
        conversation("Load pandas in a script.", "```python\nimport pandas\n```", "Error:\nNo module named 'pandas'"),
        conversation("New task:\nWrite a poem.", "The sea ...", "Now translate it into French, and keep the rhymes."),
        conversation(
            "<instructions>\nClassify the message.\n</instructions>\n<user_message>\nI love it\n</user_message>"
        ),
        conversation("<context>\nI run a bakery in Ulm.\n</context>\n\nWrite a marketing plan for the next year."),
        conversation("# Task\nParse dates.\n\n# Requirements\n- Python\n\n# Output format\nOnly code."),
        conversation("Improve this system prompt:\n\n<system_instructions>\nBe brief.\n</system_instructions>"),
        conversation(f"n8n adds a text to my prompt, namely:\n{SCHEMA}"),
        conversation("I see this in CrewAI, what is it?\n\nCurrent Task: x\n\nThis is the expected criteria for it: y"),
        conversation("User input validation in Django:\nwhich ways are there?"),
        conversation(
            "You are a judge.\n\nUser question: How high is it?\nAssistant answer: 3 m.\n\nIs the answer right?"
        ),
        conversation("You know SQL. Given:\n\nusers(id, name)\n\nUser question: How many users?\nSQL:"),
        conversation("## Background\nWe sell shoes.\n\n## User request\nA refund.\n\n## Question\nWhat do we answer?"),
        conversation("<document>\n<user_request>\nx\n</user_request>\n</document>\n\nWhat is in this document?"),
        conversation("User: hi\nAssistant: hello\nUser: What is 2 + 2?\nAssistant:"),
        conversation("### Instruction:\nName three colours.\n\n### Response:"),
    ],
)
def test_what_users_say_about_frames_or_in_their_form_is_kept(messages: list[dict[str, Any]]) -> None:
    assert query_text(messages) == messages[-1]["content"]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (conversation("Which towers are tallest?", STEP, "Observation: three"), "Which towers are tallest?"),
        (
            conversation("Which towers are tallest?", STEP, "Observation: a", STEP, "Observation: b"),
            "Which towers are tallest?",
        ),
        (conversation("New task:\nWhich towers are tallest?", "My plan", "Now proceed and carry out this plan."), None),
        (
            conversation("New task:\nHow old is it?", STEP, "Observation:\nx\nNew task:\nWhich towers are tallest?"),
            None,
        ),
        (
            conversation(
                "Build a site",
                "<attempt_completion>",
                "[attempt_completion] Result:\n<feedback>\nMake the title of it red\n</feedback>",
            ),
            "Make the title of it red",
        ),
        (conversation("Write a long poem about the sea.", "Sure!", "go on"), "Write a long poem about the sea.\ngo on"),
        (
            conversation("Write a long poem about the sea.", "...", "Here are files:\na.py", "Ok.", "go on"),
            "Write a long poem about the sea.\ngo on",
        ),
        (conversation("An example of a question", "...", "Do not consider the above.", "Ok.", "hi"), "hi"),
        (
            conversation(
                f"[[ ## question ## ]]\nAn example\n\n{RULES}",
                "...",
                "[[ ## question ## ]]\nhi\n\nRespond with `answer`.",
            ),
            "hi",
        ),
        (conversation([{"type": "tool_result", "tool_use_id": "a", "content": "A long result of a tool."}]), ""),
    ],
)
def test_conversations_of_agents(messages: list[dict[str, Any]], expected: str | None) -> None:
    assert query_text(messages) == ("Which towers are tallest?" if expected is None else expected)


def test_results_in_messages_of_tools_are_no_questions() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
    result = {"role": "tool", "tool_call_id": "a", "content": "What a long result of a tool this is!"}
    note = {"role": "user", "content": RESULT_OF.format(call="a")}
    assert query_text([*conversation("Which towers are tallest?"), call, result, note]) == "Which towers are tallest?"
    assert query_text([{"role": "system", "content": "Report."}, call, result]) == "Report."
    assert query_text([call, result]) == result["content"]
    crew = "Current Task: Which towers?\n\nThis is the expected criteria for your final answer: x"
    again = {"role": "user", "content": "Analyze the tool result, and give the final answer."}
    assert query_text([*conversation(crew), call, result, again]) == "Which towers?"


def test_the_task_of_a_front_end_is_what_it_asks() -> None:
    task = "Write a short title for the chat."
    text = f"### Task:\n{task}\n### Output:\nJSON\n### Chat History:\n<chat_history>\nUSER: Why?\n</chat_history>"
    assert query_text(conversation(text)) == task


def test_the_same_template_is_removed_from_earlier_questions() -> None:
    head = "Acme help desk, ticket system version 4.\nAnswers go to customers directly, never with prices.\n\n### Question\n"
    assert query_text(conversation(f"{head}Is it red?", "Yes.", f"{head}And blue?")) == "Is it red?\nAnd blue?"


PIECES = [
    *[
        "Why?",
        "\n",
        "\n\n",
        "You answer.",
        "# Role\n",
        "New task:\n",
        "Current Task: ",
        "This is the expected answer:",
        "Observation:\n",
    ],
    *[
        "[[ ## question ## ]]\n",
        "Respond with `answer`.",
        "Begin!\n",
        "Question: ",
        "Thought:",
        "Action:",
        "User question:",
        "USER INPUT\n---\n",
    ],
    *[
        "<context>\n",
        "</context>\n",
        "<user_query>\n",
        "</user_query>\n",
        "<system-reminder>\n",
        "</system-reminder>\n",
        "```\n",
        "---\n",
    ],
    *[
        "<chat_history>\n",
        "</chat_history>",
        "### Task:\n",
        "Ok.",
        SCHEMA,
        RULES,
        RESULT_OF,
        "Reminder: ",
        "<feedback>\n",
        "</feedback>",
    ],
]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), texts), min_size=1, max_size=6))
def test_any_conversation_has_a_text_of_its_own_words(turns: list[tuple[str, str]]) -> None:
    query = query_text([{"role": role, "content": content} for role, content in turns])
    assert bool(query) == any(content for _, content in turns)
    assert all(any(line in content for _, content in turns) for line in query.split("\n"))


@pytest.mark.anyio
async def test_every_api_format_has_the_same_query_text() -> None:
    question, reminder = "Which towers of Spain are tallest?", "<system-reminder>\nBe brief.\n</system-reminder>"
    text = f"{reminder}\n{question}"
    chat = {"model": "auto", "messages": conversation(text)}
    block = [{"type": "text", "text": reminder}, {"type": "text", "text": question}]
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "Is this a long question of a tool?"}
    turns = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    messages = {"model": "auto", "max_tokens": 9, "messages": [*conversation(block), *turns]}
    requests = [
        await Chat(exchanges.dialect()).parse(orjson.dumps(chat), {}),
        await Completions().parse(orjson.dumps({"model": "auto", "prompt": text}), {}),
        await Messages().parse(orjson.dumps(messages), {}),
        await exchanges.parsed(exchanges.dialect(), instructions="Be kind.", input=text),
    ]
    assert [request.query for request in requests] == [question] * 4


SHAPES = Path(__file__).parents[2] / "clients" / "shapes"
BASKET = "The total of an empty basket is wrong. Find out why and mend it."


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("claude_code_first_turn", BASKET),
        ("claude_code_tool_results", BASKET),
        ("codex_first_turn", BASKET),
        ("codex_tool_results", BASKET),
        ("cline", "Mend the total of an empty basket."),
        ("cursor_agent_input_results", "Why is the total of an empty basket wrong?"),
        ("cursor_ask_messages", "Why is the total of an empty basket wrong?"),
        ("n8n_agent_chat", "What has our customer Ada ordered?"),
        ("n8n_agent_responses", "What has our customer Ada ordered?"),
        ("open_webui_chat", "How long does rice take?"),
        ("open_webui_title", "Write title for the chat history."),
    ],
)
@pytest.mark.anyio
async def test_requests_of_clients(shape: str, expected: str) -> None:
    request = orjson.loads((SHAPES / f"{shape}.json").read_bytes())
    responses = exchanges.dialect()
    dialects = {"messages": Messages(), "responses": responses, "completions": Chat(responses)}
    dialect = dialects[request["path"].partition("?")[0].rpartition("/")[2]]
    assert (await dialect.parse(orjson.dumps(request["body"]), {})).query == expected


def test_prompts_without_frames_are_unchanged(evaluations: Path) -> None:
    prompts = pyarrow.parquet.read_table(evaluations / "queries.parquet", columns=["prompt"])["prompt"].to_pylist()
    chosen = [prompts[i].strip() for i in np.random.default_rng(0).choice(len(prompts), 2_000, replace=False)]
    assert [prompt for prompt in chosen if query_text(conversation(prompt)) != prompt[:8_000]] == []
