"""The words of the user in a template, after a label or after documents."""

import pytest

from gateway.request.user_labels import after_documents, after_label, is_template, task_section, works_on_words


@pytest.mark.parametrize(
    "text",
    [
        "# Role\nYou answer.",
        "TOOLS\n------\nsearch",
        "You are an assistant. I am the user.",
        "Answer the following questions as best you can.",
        "<role>\nassistant\n</role>",
    ],
)
def test_templates_begin_with_a_section_or_with_what_the_model_is(text: str) -> None:
    assert is_template(text)


@pytest.mark.parametrize(
    "text",
    ["Explain this prompt:\n\nTOOLS\n------\n", "# My prompt\nWhy does it fail?", "What is this?\n-----\n", "hi", ""],
)
def test_a_users_own_words_begin_no_template(text: str) -> None:
    assert not is_template(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "TOOLS\n---\nto help the user: search\n\nUSER'S INPUT\n----\nHere is the user's input (be brief):\n\nWhy?\n\nAnd how?",
            "Why?\n\nAnd how?",
        ),
        (
            "# Rules\nAnswer kindly.\n\n# User question\nWhy?\n\n## Output\nof `ls`\n\n# Output format\nJSON",
            "Why?\n\n## Output\nof `ls`",
        ),
        ("You answer.\n\nUser question: Why?\nAnswer:", "Why?"),
        ("You answer.\n\n**User request:** Why?", "Why?"),
        ("You answer.\n\nUser's request: Plan a day with:\n- cake", "Plan a day with:\n- cake"),
        ("You answer.\n\n**User message**\nWhy?\n\nYour Response:", "Why?"),
        ("You answer.\n\n## 用户问题\n为什么？", "为什么？"),
        ("# Rolle\nDu hilfst.\n\n# Frage des Nutzers\nWarum?", "Warum?"),
        ("=== CONTEXT ===\nYou answer users.\n\n=== USER MESSAGE ===\nWhy?\n# a\n\n=== END ===", "Why?\n# a"),
        ("[RULES]\nYou answer users.\n[/RULES]\n\n[USER QUERY]\nWhy?\n[/USER QUERY]\n\nGo!", "Why?"),
        ("**Role**: a helper\n\n**User query:**\nWhy?\n**Note**: x\n\n**Constraints**: short", "Why?\n**Note**: x"),
        ("You are HelpBot and speak with customers.\n---\nCustomer says:\nWhy?", "Why?"),
        ("You help.\n\nThe user's question is:\nWhy?\n\nRemember to be kind.\n\nAnswer:", "Why?"),
        ("*** RULES ***\nAnswer users.\n\n*** USER INPUT ***\nWhy?", "Why?"),
        ("Respond to the user, kindly.\n\n[user_query]\nWhy?\n[/user_query]", "Why?"),
        ("You plan.\n\nNow begin! Here is your task:\n```\nWhy?\n```\nMake a plan.", "Why?"),
        ("You plan. Here is your task:\n1. Do this.\n2. Do that.", None),
        ("You answer.\n\n```\nUser question: Why?\n```", None),
        ("You answer in the language of the user's question. Be brief.", None),
        ("You classify intents.\n\nUser message: Why?", None),
        ("You answer.\n\nDecide whether the text is spam.\n\nUser message:\nWhy?", None),
        ("You judge answers.\n\nUser question: Why?\nAssistant answer: Because.", None),
        ("You are kind.\n\nUser message: Why?\nBot: Because.\nContinue.", None),
        ("You answer.\n\nUser question:\n", None),
        ("You know SQL. Answer with a query.\n\nUser question: How many users?\nSQL:", None),
        ("# Bug\nThe chat ignores this.\n\n## User message\nhello\n\n## Expected\nAn answer\n", None),
        ("# Help page\nYou see this.\n\n**User message**: hello\n\n## Expected\nAn answer\n", None),
        ("You write slogans.\n\nUser request: bread", None),
    ],
)
def test_what_follows_the_label(text: str, expected: str | None) -> None:
    assert after_label(text) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("### Task:\nRespond to the user query with the context.\n", "Why?\n<context>x</context>"),
        ("You answer the user's question.\n", "Why?\n<context>x</context>"),
        ("You summarize documents for the user's query and answer.\n", None),
        ("# Notes\nThe user request form is broken.\n", None),
        ("You are helpful.\n", None),
    ],
)
def test_what_follows_the_documents(before: str, expected: str | None) -> None:
    documents = "<context>\n<source>a</source>\n</context>\n\n"
    assert after_documents(f"{before}\n{documents}Why?\n<context>x</context>") == expected


def test_a_label_may_follow_the_documents() -> None:
    text = "You answer the user's question.\n<documents>\nx\n</documents>\n\nUser question: Why?\nAnswer:"
    assert after_documents(text) == "Why?"


def test_the_purpose_is_in_the_first_and_the_last_paragraph() -> None:
    assert works_on_words("Translate what follows.\n\nBe exact.")
    assert works_on_words("You are exact.\n\nNow rate the text.")
    assert not works_on_words("You answer.\n\nTools: translate, summarize\n\nBe brief.")


def test_the_section_of_a_task() -> None:
    assert task_section("### Task:\nWrite a title.\n\n### Output:\nJSON") == "Write a title."
    assert task_section("### Task:\nWrite a title.") == "Write a title."
    assert task_section("### Context:\nx") is None
    assert task_section("### Task:\n### Output:") is None
