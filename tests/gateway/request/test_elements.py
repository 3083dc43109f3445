"""Elements of agents, and elements that hold the user's request."""

import pytest

from gateway.request.elements import Remainder, request_element, response_element, without_agent_elements


@pytest.mark.parametrize(
    "element",
    [
        "<system-reminder>\nbe brief\n</system-reminder>",
        "<environment_details>\n# Files\na.py\n</environment_details>",
        "<reminderInstructions>keep going</reminderInstructions>",
        "<editorContext>a.py, line 3</editorContext>",
        "<repository_info>a repository</repository_info>",
        "<open_and_recently_viewed_files>a.py</open_and_recently_viewed_files>",
        "<additional_data>x</additional_data>",
        '<user_info os="linux">x</user_info>',
        "<response_guidelines>\nBe short.\n</response_guidelines>",
        "<INSTRUCTIONS>Use tabs.</INSTRUCTIONS>",
        "<system-reminder>```\nan open fence</system-reminder>",
    ],
)
def test_an_element_of_an_agent_is_removed_before_and_after_the_question(element: str) -> None:
    assert without_agent_elements(f"{element}\n\nWhy?").text == "Why?"
    assert without_agent_elements(f"Why?\n{element}\n").text == "Why?"
    assert without_agent_elements(f"```\nx\n```\n{element}{element}Why?").text == "```\nx\n```\nWhy?"
    assert without_agent_elements(element) == Remainder("")


@pytest.mark.parametrize(
    "text",
    [
        "Which of <b>these</b> is bold?",
        "Why is this invalid?\n<order>\n  <item/>\n</order>",
        "Explain:\n```\n<system-reminder>\nbe brief\n</system-reminder>\n```",
        "Explain what this does:\n<system-reminder>\nbe brief\n</system-reminder>",
        "What is <system-reminder>x</system-reminder> for?",
        "<system-reminder>without an end. </other>",
        "<context>\nI bake bread.\n</context>\nWrite a slogan.",
        "<instructions>Write a poem.</instructions>",
    ],
)
def test_the_users_own_markup_stays(text: str) -> None:
    assert without_agent_elements(text).text is text


def test_an_open_code_block_before_an_element_at_the_end_hides_nothing() -> None:
    text = "What does this mean?\n```\nTraceback\n\n<environment_details>\nx\n</environment_details>"
    assert without_agent_elements(text).text == "What does this mean?\n```\nTraceback"


def test_headings_of_removed_elements_are_no_text() -> None:
    text = "# AGENTS.md instructions for /src\n\n<INSTRUCTIONS>\nRun the tests.\n</INSTRUCTIONS>"
    assert without_agent_elements(text).text == ""
    task = "### Task:\nWrite a title.\n### Chat History:\n<chat_history>\nUSER: Hi\n</chat_history>"
    assert without_agent_elements(task) == Remainder("### Task:\nWrite a title.\n### Chat History:", had_history=True)


@pytest.mark.parametrize(
    ("text", "template", "expected"),
    [
        ("<task>\nWhy?\n</task>", False, "Why?"),
        ("<user_query>\nWhy?\n</user_query>\n", False, "Why?"),
        ("<timestamp>now</timestamp>\n<user_query>\nWhy?\n</user_query>", False, "Why?"),
        ("<user_query>\nWhy?\n</user_query>\n\n<untrusted_evidence>\nx\n</untrusted_evidence>", False, "Why?"),
        ("<attachments>\n<a>x</a>\n</attachments>\n<userRequest>\nWhy?\n</userRequest>", True, "Why?"),
        ("You are helpful.\n\n<user_question>\n<p>a</p>\n</user_question>\n\nBe brief.", True, "<p>a</p>"),
        ("Translate this:\n<user_query>\nWhy?\n</user_query>", False, None),
        ("<order>\n<user_request>\nmore salt\n</user_request>\n</order>\nConvert this to JSON.", False, None),
        ("<order>\n<user_request>\nmore salt\n</user_request>\n</order>\nConvert this to JSON.", True, None),
        ("You classify intents.\n\n<user_message>\nWhy?\n</user_message>", True, None),
        ("<instructions>\nSummarise it.\n</instructions>\n<user_message>\nWhy?\n</user_message>", True, None),
        ("<role>\nassistant\n</role>\n<context>\nx\n</context>\n<question>\nWhy?\n</question>", True, "Why?"),
        ("<role>\ntranslator\n</role>\n<request>\nWhy?\n</request>", True, None),
        ("<quiz>\n<question>\nWhy?\n</question>\n<answer>x</answer>\n</quiz>", True, None),
        ("<order>\n<user_request>\nmore salt\n</user_request>\n</order>", True, None),
        ("<question>\nWhy?\n</question>\nIs this question good?", False, None),
        ("<task>Why?", False, None),
        ("<task></task>", False, None),
    ],
)
def test_the_request_in_an_element(text: str, template: bool, expected: str | None) -> None:
    assert request_element(text, template) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            "[attempt_completion] Result:\nThe user has another wish.\n<feedback>\nMake it red.\n</feedback>",
            "Make it red.",
        ),
        ("[ask_followup_question for 'Which?'] Result:\n<answer>\nThe first.\n</answer>", "The first."),
        ("[read_file for 'a.xml'] Result:\n<a>\n<feedback>\nx\n</feedback>\n</a>", None),
        ("[read_file for 'a.py'] Result:\nprint()", None),
    ],
)
def test_the_users_response_in_a_result(result: str, expected: str | None) -> None:
    assert response_element(result) == expected
