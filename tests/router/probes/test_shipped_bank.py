"""The shipped bank: it is what its generators make, every reference is right by its own checker, and plausible wrong answers are not."""

import json
from collections import Counter
from pathlib import Path

import pytest

from router.probes.checkers.answer import Answer
from router.probes.checkers.grade import grade
from router.probes.generators.bank import questions
from router.probes.generators.draft import DisagreementError, Draft, agreed, probe_of
from router.probes.probe import SHIPPED, Probe, load_bank, save_bank

QUESTIONS = list(questions())
PROBES = [probe_of(identifier, kind, draft) for kind, identifier, draft in QUESTIONS]
MAIN_KINDS = {
    "mathematics",
    "code",
    "logic",
    "extraction",
    "tools",
    "instructions",
    "everyday",
    "knowledge",
    "language",
}


def answer(draft: Draft, text: str) -> Answer:
    """The answer with that text; of a question with tools, with the calls that the text lists."""
    if not draft.tools:
        return Answer(text)
    calls = [
        {"id": "c", "type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
        for call in json.loads(text)
    ]
    return Answer("" if calls else "Here you are.", calls, "tool_calls" if calls else "stop")


def test_the_file_is_what_the_generators_make(tmp_path: Path) -> None:
    """`python -m scripts.make_probe_bank` writes it."""
    save_bank(tmp_path / "made.jsonl", PROBES)
    bank = load_bank(SHIPPED)
    assert bank.name == SHIPPED
    assert list(bank.probes) == list(load_bank(tmp_path / "made.jsonl").probes) == PROBES


@pytest.mark.parametrize("kind", sorted(MAIN_KINDS))
def test_right_answers_are_right_and_wrong_ones_are_wrong(kind: str) -> None:
    chosen = [
        (probe, draft)
        for probe, (_, _, draft) in zip(PROBES, QUESTIONS, strict=True)
        if probe.kind.split(":")[0] == kind
    ]
    assert len(chosen) >= 50
    for probe, draft in chosen:
        assert grade(probe, answer(draft, draft.right)).score == 1.0, probe.id
        assert draft.wrong, probe.id
        for wrong in draft.wrong:
            assert grade(probe, answer(draft, wrong)).score == 0.0, (probe.id, wrong)


def test_there_are_some_600_different_questions_of_each_level_in_each_kind() -> None:
    assert 550 <= len(PROBES) <= 700
    assert len({probe.query for probe in PROBES}) == len(PROBES)
    levels = Counter((kind.split(":")[0], draft.level) for kind, _, draft in QUESTIONS)
    assert {kind for kind, _ in levels} == MAIN_KINDS
    assert all(levels[kind, level] >= 2 for kind in MAIN_KINDS for level in (1, 2, 3, 4, 5))
    assert len({probe.kind for probe in PROBES if probe.kind.startswith("language:")}) >= 10


def test_answers_are_short() -> None:
    assert max(probe.max_tokens for probe in PROBES) <= 500
    assert sum(probe.max_tokens for probe in PROBES) / len(PROBES) < 250


def test_ids_do_not_move_when_a_template_is_added() -> None:
    by_id = {probe.id: probe for probe in PROBES}
    assert by_id["mathematics-arithmetic-1-1"].query == "What is 8 × 18 − 4?\nAnswer with the number only."
    assert by_id["language-de-written-2-2"].query.startswith('Welche Zahl ist "siebenundachtzig"?')


def test_two_computations_that_differ_are_an_error() -> None:
    with pytest.raises(DisagreementError, match="1 by one computation, 2 by the other"):
        agreed(1, 2)


def test_a_probe_of_a_draft_has_its_checker_and_room() -> None:
    draft = Draft("2 + 2?", {"type": "number", "tolerance": 0.5}, 4, 1, "4", ["5"], 32)
    probe = probe_of("a", "sums", draft)
    assert isinstance(probe, Probe)
    assert (probe.checker.number("tolerance"), probe.max_tokens, probe.reference) == (0.5, 32, 4)
