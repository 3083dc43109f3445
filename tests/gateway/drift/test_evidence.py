"""The evidence of changed answers, and what providers say of themselves."""

from collections.abc import Iterable

import pytest

from gateway.drift.announced import announcements
from gateway.drift.asked import Asked, digest
from gateway.drift.baseline import Baseline
from gateway.drift.evidence import by_round, differing, evidence

PROBES = tuple(f"p{i}" for i in range(16))
BASELINE = Baseline(PROBES, (True,) * 16, ("a",) * 16, (4,) * 16, 0.0)


def rounds(*answers: Iterable[tuple[float | None, str]]) -> list[Asked]:
    """Rounds of 8 probes in turn, each with score and extracted answer."""
    found = []
    for number, of_round in enumerate(answers, 1):
        for i, (score, text) in enumerate(of_round):
            found.append(Asked(number, PROBES[(8 * (number - 1) + i) % 16], score, text))
    return found


SAME, OTHER = [(1.0, "a")] * 8, [(0.0, "b")] * 8


def test_equal_answers_are_no_evidence() -> None:
    assert evidence(BASELINE, []) == pytest.approx(1)
    assert evidence(BASELINE, rounds(*[SAME] * 20)) < 1


def test_one_round_of_other_answers_is_an_alarm() -> None:
    assert evidence(BASELINE, rounds(SAME, OTHER)) > 1_000


def test_other_texts_with_the_same_outcome_are_evidence_too() -> None:
    wrong = Baseline(PROBES, (False,) * 16, ("a",) * 16, (4,) * 16, 0.0)
    assert evidence(wrong, rounds([(0.0, "b")] * 8)) > 1_000
    unsteady = Baseline(PROBES, (False,) * 16, (None,) * 16, (4,) * 16, 0.0)
    assert evidence(unsteady, rounds([(0.0, "b")] * 8)) < 1


def test_answers_without_a_grade_and_to_other_probes_are_no_evidence() -> None:
    ungraded = rounds([(None, "b")] * 8)
    foreign = [Asked(1, "another", 0.0, "b")] * 8
    assert evidence(BASELINE, ungraded + foreign) == pytest.approx(1)


def test_the_share_of_other_outcomes_is_told() -> None:
    assert differing(BASELINE, rounds(SAME, OTHER), 16) == (8, 16)
    assert differing(BASELINE, rounds(OTHER, SAME), 8) == (0, 8)
    assert differing(BASELINE, rounds([(None, "")] * 8), 8) == (0, 0)
    mixed = rounds(SAME, [*OTHER[:3], *SAME[:2], (None, "")], [(None, "")] * 8)
    assert by_round(BASELINE, [Asked(0, "p0", 0.0), Asked(1, "another", 0.0), *mixed]) == [(1, 0, 8), (2, 3, 5)]


def said(count: int, **says: str | int | None) -> list[Asked]:
    return [Asked(1, PROBES[i], 1.0, "a", **says) for i in range(count)]


@pytest.mark.parametrize("field", ["response_model", "fingerprint"])
def test_another_name_or_fingerprint_is_told(field: str) -> None:
    (words,) = announcements(said(8, **{field: "v1"}), said(8, **{field: "v2"}))
    assert "'v1'" in words
    assert "'v2'" in words
    assert announcements(said(8, **{field: "v1"}), said(8, **{field: "v1"})) == []


def test_a_provider_that_varies_or_says_nothing_announces_nothing() -> None:
    varied = said(4, fingerprint="v1") + said(4, fingerprint="v3")
    assert announcements(varied, said(8, fingerprint="v2")) == []
    assert announcements(said(8, fingerprint=None), said(8, fingerprint="v2")) == []
    assert announcements(said(8, fingerprint="v1"), said(8, fingerprint=None)) == []
    assert announcements(said(3, fingerprint="v1"), said(8, fingerprint="v2")) == []


def test_another_count_of_prompt_tokens_is_told_if_all_probes_have_one() -> None:
    (words,) = announcements(said(8, prompt_tokens=20), said(8, prompt_tokens=23))
    assert "prompt tokens of 8 of 8 probes" in words
    mixed = said(7, prompt_tokens=23) + [Asked(1, PROBES[7], 1.0, "a", 20)]
    assert announcements(said(8, prompt_tokens=20), mixed) == []
    assert announcements(said(2, prompt_tokens=20), said(2, prompt_tokens=23)) == []


def test_a_digest_holds_no_text() -> None:
    assert digest(None) is None
    assert digest("42") == digest("42") != digest("43")
    assert len(digest("a long answer " * 100) or "") == 16
