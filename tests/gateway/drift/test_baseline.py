"""The choice of the probes that a deployment is watched by."""

import numpy as np

from gateway.drift.asked import Asked
from gateway.drift.baseline import ASKS, choose, restored, shortlist, spread

IDS = [f"p{i}" for i in range(32)]
KINDS = [f"k{i % 8}" for i in range(32)]
NEAR = np.zeros((3, 32))


def answers(*outcomes: str, probes: list[str] = IDS) -> list[Asked]:
    """One answer to each probe for each text: the i-th is right where its i-th character is 1, and has no grade for "-"."""
    return [
        Asked(0, probe, None if text[i] == "-" else float(text[i]), canonical=text[i])
        for text in outcomes
        for i, probe in enumerate(probes)
    ]


def test_candidates_are_even_over_kinds_and_depend_on_the_draw_alone() -> None:
    kinds = ["a"] * 100 + ["b"] * 3 + ["c"] * 100
    picked = spread(kinds, 23, np.random.default_rng(1))
    assert sorted(kinds[i] for i in picked) == ["a"] * 10 + ["b"] * 3 + ["c"] * 10
    assert len(set(picked)) == 23
    assert picked == spread(kinds, 23, np.random.default_rng(1)) != spread(kinds, 23, np.random.default_rng(2))
    assert len(spread(kinds, 500, np.random.default_rng(1))) == 203


def test_the_shortlist_has_answers_that_the_neighbors_would_not_give() -> None:
    first = answers("1" * 12 + "0" * 20)  # no neighbour answers any of them
    assert shortlist(IDS, KINDS, first, NEAR, 8) == IDS[:12]


def test_probes_with_changing_outcomes_are_left_out_and_make_the_own_rate() -> None:
    rounds = ["1" * 32, "1" * 32, "1" * 32, "0" * 4 + "1" * 28]
    found = choose(IDS, KINDS, answers(*rounds), NEAR, 16)
    assert found is not None
    assert not set(found.probes) & set(IDS[:4])
    assert len(found.probes) == 16
    assert found.own_rate == 4 / (32 * ASKS)
    assert set(found.right) == {True}
    assert set(found.asks) == {ASKS}


def test_probes_without_enough_graded_answers_are_left_out() -> None:
    found = choose(IDS, KINDS, answers("1" * 32, "1" * 32, "1" * 32, "-" * 8 + "1" * 24), NEAR, 32)
    assert found is not None
    assert set(found.probes) == set(IDS[8:])


def test_too_few_steady_probes_are_no_baseline() -> None:
    assert choose(IDS, KINDS, answers("1" * 32, "1" * 32, "1" * 32, "1" * 7 + "0" * 25), NEAR, 16) is None


def test_texts_that_differ_are_not_compared_although_the_outcomes_are_equal() -> None:
    same = answers("0" * 32, "0" * 32, "0" * 32)
    other = [Asked(0, probe, 0.0, canonical="another") for probe in IDS[:5]] + answers("0" * 27, probes=IDS[5:])
    found = choose(IDS, KINDS, same + other, NEAR, 32)
    assert found is not None
    by_probe = dict(zip(found.probes, found.canonical, strict=True))
    assert all(by_probe[probe] is None for probe in IDS[:5])
    assert all(by_probe[probe] == "0" for probe in IDS[5:])


def test_a_baseline_is_the_same_when_it_is_read_again() -> None:
    asked = answers("10" * 16, "10" * 16, "10" * 16, "10" * 15 + "00")
    found = choose(IDS, KINDS, asked, NEAR, 24)
    assert found is not None
    later = Asked(1, found.probes[0], 0.0, canonical="other")
    assert restored(found.probes, found.own_rate, [*asked, later]) == found
