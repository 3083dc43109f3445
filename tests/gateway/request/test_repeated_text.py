"""What a conversation repeats around the words of the user."""

import pytest

from gateway.request.repeated_text import without_known, without_template

RULES = "# Block Rules:\n\nEvery block has a path, a fence and lines.\n\nReturn code in a block, and never without its path!"
DIRECTIVE = (
    "Files are listed as follows.\n\nYou MUST use this list of files for every change that you make in the code."
)
QUOTE = "The ferry leaves at eight and arrives at nine.\n\nIt takes cars and bicycles, but no lorries, and it never runs on Sundays."


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        (f"Why?\n\n{RULES}", f"You code.\n{RULES}", "Why?"),
        (f"Why?\n\n{RULES}\n\n", f"You code.\n{RULES}\n\nBe brief.", "Why?"),
        (f"Why?\n\n{DIRECTIVE}", DIRECTIVE, "Why?"),
        (f"{RULES}\n\nWhy?", RULES, "Why?"),
        (f"{RULES}\n\nWhy?\n\n{DIRECTIVE}", f"{RULES}\n\n{DIRECTIVE}", "Why?"),
        ("Why?\n\nAlways reply in German.", "You code.\nAlways reply in German.\nBe brief.", "Why?"),
        (f"Why?\n\n{RULES}", f"You code.\n{RULES[:60]}", None),
        (f"Explain this.\n\n{QUOTE}", f"Answer from this text.\n\n{QUOTE}", None),
        (RULES, RULES, None),
        ("Why?\n\nBe brief.", "Be brief.", None),
    ],
)
def test_texts_of_the_system_prompt(text: str, known: str, expected: str | None) -> None:
    assert without_known(text, [known]) == (text if expected is None else expected)


HEAD = "Acme help desk, ticket system version 4.\nAnswers go to customers directly.\n\n### Question\n"
TAIL = "\n\n### Rules\nBe friendly and short. Never speak of prices, and never of other shops."
ROLE = (
    "You are the assistant of Acme, a shop for garden tools. You speak with customers.\n\n"
    + "Be friendly and short. " * 8
    + "\n\n"
)


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        (f"{HEAD}Why?{TAIL}", f"{HEAD}How do I return a rake?{TAIL}", "Why?"),
        (f"{HEAD}Why?\n### Question\nHow?", f"{HEAD}x", "Why?\n### Question\nHow?"),
        ("# Instructions\nYou help.\n\n# Query\nWhy?", "# Instructions\nYou help.\n\n# Query\nHow?", "Why?"),
        ("Human question:\nWhy?\n\nBe brief.", "Human question:\nHow?\n\nBe brief.", "Why?"),
        ("Today is Monday.\n\nUser Question: Why?\nHow?", "Today is Monday.\n\nUser Question: When?", "Why?\nHow?"),
        (f"{ROLE}Why is it rusty?", f"{ROLE}How long is it?", "Why is it rusty?"),
    ],
)
def test_templates(text: str, other: str, expected: str) -> None:
    assert without_template(text, ["Hello!", other]) == expected


@pytest.mark.parametrize("tail", [TAIL, f"\n\n---\nReminder: {'be brief ' * 9}"])
def test_reminders_at_the_end_of_three_turns(tail: str) -> None:
    assert without_template(f"Why?{tail}", [f"How?{tail}", f"When?{tail}\n"]) == "Why?"
    assert without_template(f"Why?{tail}", [f"How?{tail}", "When?"]) == f"Why?{tail}"


CODE = "```python\ndef f(x):\n    return x +\n```\nYou must never guess; always name the line of the error, please."
LETTER = "Dear Ms Weber,\n\nyou must pay now. You always promised to, and never did. Please answer this time.\n\nTom"


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (f"{HEAD}Why?{TAIL}", f"{HEAD}Why?{TAIL}"),
        (f"{HEAD}Why?{TAIL}", f"{HEAD}{TAIL}"),
        ("Translate to German:\n\nWhere is the station?", "Translate to German:\n\nThe cat sleeps."),
        (f"Why does it still fail?\n\n{CODE}", f"Why does it fail?\n\n{CODE}"),
        (f"What should she answer?\n\n{LETTER}", f"What is the tone?\n\n{LETTER}"),
        (f"{LETTER}\n\nWhat should she answer?", f"{LETTER}\n\nWhat is the tone?"),
        (
            f"You are a translator.\n\n{'Be exact. ' * 20}\n\nTranslate:\nWho are you?",
            f"You are a translator.\n\n{'Be exact. ' * 20}\n\nTranslate:\nHi.",
        ),
        ("a\nb", "c\nd"),
        ("Classify the text.\n\nUser message: Why?", "Classify the text.\n\nUser message: How?"),
        ("Question:\nWhy?", "Question:\nHow?"),
    ],
)
def test_what_users_repeat_stays(text: str, other: str) -> None:
    assert without_template(text, [other]) == text


def test_turns_that_are_too_long_are_not_compared() -> None:
    text = f"{HEAD}Why?{TAIL}" + "\n" * 20_001
    assert without_template(text, [f"{HEAD}How?{TAIL}"]) is text
