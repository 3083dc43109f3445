"""Which user messages are an agent's own."""

import pytest

from gateway.request.agent_turns import RESULT_OF, ends_examples, is_acknowledged, is_result, without_result_notes

STEP = "Thought: I search.\nAction: search\nAction Input: x"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Observation: three pages", STEP),
        ("Observation:\nthree pages", "I search.\n<code>\nsearch()\n</code>\nCalling tools:\n[{'id': '1'}]"),
        ("Call id: 1\nError:\nno such file", "Calling tools:\n[{'id': '1'}]"),
        ("Error:\nno such file\nNow let's retry: take care.", "x"),
        ("EXECUTION RESULT of [execute_bash]:\na.py", "<function=execute_bash>\n<parameter=command>ls</parameter>"),
        ("[read_file for 'a.py'] Result:\nx = 1", "<read_file>\n<path>a.py</path>\n</read_file>"),
        ("TOOL RESPONSE:\n---\nx", '```json\n{"action": "search", "action_input": "x"}\n```'),
        ("<tool_response>\nx\n</tool_response>", '<tool_call>\n{"name": "search", "arguments": {}}\n</tool_call>'),
        ("Now proceed and carry out this plan.", "1. Search."),
    ],
)
def test_results_of_tools_in_user_messages(text: str, answer: str) -> None:
    assert is_result(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Observation: it is blue. Why?", ""),
        ("Observation: it is blue. Why?", "Write down what you observe, and then what you think."),
        ("Error:\nNo module named 'pandas'", "```python\nimport pandas\n```"),
        ("I have an observation: it is blue.", STEP),
    ],
)
def test_a_user_may_begin_in_the_same_way(text: str, answer: str) -> None:
    assert not is_result(text, answer)


def test_notes_about_images_of_results_are_no_words_of_the_user() -> None:
    note = RESULT_OF.format(call="toolu_01")
    assert without_result_notes(note) == ""
    assert without_result_notes(f"{note}\nWhy is it red?") == "Why is it red?"
    assert without_result_notes("Of the result (of the tool call)?") == "Of the result (of the tool call)?"


def test_answers_that_agents_put_into_the_mouth_of_the_model() -> None:
    assert is_acknowledged("Ok.")
    assert is_acknowledged("Ok, any changes I propose will be to those files.")
    assert not is_acknowledged("Okay! Here is the poem.")
    assert not is_acknowledged("Ok. " + "A long answer. " * 20)
    assert not is_acknowledged("")


def test_the_end_of_examples() -> None:
    assert ends_examples("I switched to a new code base. Please don't consider the above files.")
    assert not ends_examples("What is above the files?")
