"""Questions in fields, in a protocol, and after the label of a task."""

import pytest

from gateway.request.agent_frames import framed_question, in_fields, is_task, task, without_added
from gateway.request.user_labels import is_template

FIELDS = "Your input fields are:\n1. `question` (str)\n2. `trajectory` (str)\n[[ ## question ## ]]"
END = "Respond with the corresponding output fields, starting with the field `[[ ## answer ## ]]`."
PROTOCOL = (
    "Answer the following questions. You have tools.\n\nQuestion: the question\nThought: what to do\nAction: the tool\n"
    "Observation: the result\n\nBegin!\n\nQuestion: "
)
CRITERIA = "\n\nThis is the expected criteria for your final answer: A list.\nyou MUST return all of it."


def found(text: str, *system: str) -> str | None:
    return framed_question(text, system, is_template(text))


@pytest.mark.parametrize(
    ("text", "system", "expected"),
    [
        (f"[[ ## question ## ]]\nWhy?\n\nAnd how?\n\n{END}", "", "Why?\n\nAnd how?"),
        (f"[[ ## context ## ]]\n[1] x\n\n[[ ## question ## ]]\nWhy?\n\n{END}", "", "Why?"),
        (f"[[ ## question ## ]]\nWhy?\n\n[[ ## trajectory ## ]]\n[[ ## thought_0 ## ]]\nx\n\n{END}", FIELDS, "Why?"),
        (
            f"[[ ## question ## ]]\nWhat is\n[[ ## answer ## ]]\nfor?\n\n{END}",
            FIELDS,
            "What is\n[[ ## answer ## ]]\nfor?",
        ),
        (f"[[ ## text ## ]]\nWhy?\n\n[[ ## context ## ]]\nx\n\n{END}", "", "Why?"),
        (f"[[ ## context ## ]]\nx\n\n{END}", "", "x"),
        ("[[ ## question ## ]]\nWhy?", FIELDS, "Why?"),
        ("[[ ## question ## ]]\nWhy?\n\nWhat are these brackets?", "", None),
        ("What is this?\n[[ ## question ## ]]\nWhy?", FIELDS, None),
    ],
)
def test_fields(text: str, system: str, expected: str | None) -> None:
    assert found(text, system) == expected


def test_a_message_in_fields_begins_with_one() -> None:
    assert in_fields("\n[[ ## question ## ]]\nWhy?")
    assert not in_fields("Why [[ ## question ## ]]?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{PROTOCOL}Why?\nThought:", "Why?"),
        (f"{PROTOCOL}Why?\nThought: I search.\nAction: search\nObservation: x\nThought:", "Why?"),
        (f"{PROTOCOL}Is this right?\nThought: no.\nThought:", "Is this right?\nThought: no."),
        (f"{PROTOCOL}Why?", "Why?"),
        (f"Why does this fail?\n\n{PROTOCOL}Why?\nThought:", None),
    ],
)
def test_the_question_of_a_protocol(text: str, expected: str | None) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("New task:\nWhy?", "Why?"),
        ("New task:\nWhy?\nYou have been provided with these additional arguments, as variables:\n{'a': 1}.", "Why?"),
        ("New task:\nWhy?\nObservation:\nlogs\nObservation:\nmore", "Why?"),
        ("New task:\nYou're a helpful agent.\n---\nTask:\nWhy?\n---\nYour final answer WILL have these parts:", "Why?"),
        (f"\nCurrent Task: Why?{CRITERIA}\n\nBegin! This is VERY important to you!\n\nThought:", "Why?"),
        ("Current Task: Why?\n\nProvide your complete response:", "Why?"),
        (f"You are a researcher.\nCurrent Task: Why?{CRITERIA}", "Why?"),
        (f"Current Task: Say:\nThis is the expected result: x{CRITERIA}", "Say:\nThis is the expected result: x"),
        ("# Sprint\n\nCurrent Task: write tests\n\n# Rules\nBe quick.", None),
        (f"I see this in CrewAI:\n\nCurrent Task: Why?{CRITERIA}", None),
        ("Is a New task: line needed?", None),
    ],
)
def test_labelled_tasks(text: str, expected: str | None) -> None:
    assert task(text, is_template(text)) == expected


def test_which_labels_are_certainly_those_of_an_agent() -> None:
    assert is_task("New task:\nWhy?")
    assert is_task(f"\nCurrent Task: Why?{CRITERIA}")
    assert not is_task("Current Task: write tests")
    assert not is_task("New task: write tests")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Why?\nYou must format your output as a JSON value that adheres to a schema.\n\n```json\n{}\n```", "Why?"),
        ("Why?\n\nThe output should be formatted as a JSON instance that conforms to it.\n```\n{}\n```", "Why?"),
        ("Why?\n\n\n (reminder to respond in a JSON blob no matter what)", "Why?"),
        ("LangChain adds:\nYou must format your output as a JSON value that adheres to a schema.\n```\n{}\n```", None),
        ("Why?\nYou must format your output as a JSON value that adheres to `schema`. Who says so?", None),
    ],
)
def test_what_libraries_add_after_the_question(text: str, expected: str | None) -> None:
    assert without_added(text) == expected
