"""The text by which a conversation is routed."""

import pytest

from gateway.request.query_text import message_text, query_text, user_text


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


@pytest.mark.parametrize(
    "unit",
    ["<system-reminder>", "<system-reminder ", "<", "<system-reminder></environment_details>", "</system-reminder>"],
)
def test_unclosed_tags_of_any_number_take_linear_time(unit: str) -> None:
    query = query_text([{"role": "user", "content": unit * 500_000 + "</"}])  # in quadratic time: hours
    assert query.startswith(unit)


def test_a_message_has_the_text_of_its_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert message_text({"role": "user", "content": parts}) == "a\nb"
    assert message_text({"role": "assistant", "content": None}) == ""
    assert message_text({"role": "assistant"}) == ""


def test_the_text_of_a_user_is_without_the_elements_of_agents() -> None:
    assert user_text({"role": "user", "content": "<environment_context>x</environment_context>Why?"}) == "Why?"
