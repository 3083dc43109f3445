"""Which of two answers in prose is better, as a model sees it that is asked twice, in both orders.

The two texts stand between marks with a code, as for the checker `judge` of probes: no text can close the marks. An answer that
tells the judge to choose "the first one" is heard in both orders, so that it decides nothing.
"""

from collections.abc import Sequence

from router.probes.checkers.judge import NOT_INSTRUCTIONS, code_of, last_verdict, marked_text
from router.probes.checkers.visible import visible

FIRST, SECOND, EQUAL = "FIRST", "SECOND", "EQUAL"
SYSTEM = """Two assistants answered the same question. Decide which answer is better: which one is right, and does what the \
question asks, completely. A wrong statement weighs more than a missing one.
{not_instructions} Length, confidence, style and the order of the two do not count.
First give your reason in one or two sentences. Then write, alone on the last line, `VERDICT {code}: FIRST`, \
`VERDICT {code}: SECOND`, or `VERDICT {code}: EQUAL` if neither is better."""
ENDING = "Your reason, then the line `VERDICT {code}: FIRST`, `VERDICT {code}: SECOND` or `VERDICT {code}: EQUAL`."


def comparisons(query: str, first: str, second: str) -> list[tuple[str, str]]:
    """(system, user) of the two questions to the judge: the answers in this order, and the other way round.

    Args:
        first, second: the answers, with reasoning tags if they have some; the judge does not see the reasoning.
    """
    code = code_of(query, first, second)
    texts = [visible(first), visible(second)]
    system = SYSTEM.format(not_instructions=NOT_INSTRUCTIONS, code=code)
    question, ending = marked_text("QUESTION", query, code), ENDING.format(code=code)
    return [
        (
            system,
            "\n\n".join(
                [question, marked_text("FIRST ANSWER", a, code), marked_text("SECOND ANSWER", b, code), ending]
            ),
        )
        for a, b in (texts, reversed(texts))
    ]


def winner(replies: Sequence[str]) -> int | None:
    """The better answer, 0 for the first and 1 for the second, from the replies to `comparisons`, in their order.

    None if the judge gives no verdict, calls them equal, or decides otherwise when the order changes.
    """
    verdicts = [last_verdict(reply, (FIRST, SECOND, EQUAL)) for reply in replies]
    if len(verdicts) != 2 or verdicts[0] is None or verdicts[1] is None:
        return None
    (code, word), (other_code, other_word) = verdicts[0], verdicts[1]
    if code != other_code:
        return None
    return {(FIRST, SECOND): 0, (SECOND, FIRST): 1}.get((word, other_word))
