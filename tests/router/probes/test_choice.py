"""Which probes are asked next: the spread start, and the greedy design against a reference in float64."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.network import sigmoid
from router.probes.choice import SPREAD, choose_probes
from tests.router.shipped import graded, shipped

Floats = NDArray[np.float32]
KINDS = ("mathematics", "logic", "knowledge", "code")


@pytest.fixture(scope="module")
def bank() -> Floats:
    """Encodings of 200 queries of all kinds."""
    return np.random.default_rng(0).permutation(shipped().locus.features.anchors)[:200]


@pytest.fixture(scope="module")
def kinds() -> list[str]:
    return [KINDS[min(i // 10, 3)] for i in range(200)]  # 10 of each of the first three, 170 of code


@pytest.fixture(scope="module")
def model(bank: Floats) -> Embedding:
    y = np.random.default_rng(1).random(16).round()
    return shipped().embed(bank[:16], y)


def test_the_start_is_spread_over_kinds(bank: Floats, kinds: list[str]) -> None:
    chosen = choose_probes(shipped(), bank, kinds, SPREAD)
    assert Counter(kinds[i] for i in chosen) == dict.fromkeys(KINDS, 4)
    assert len(set(chosen)) == SPREAD
    assert {kinds[i] for i in chosen[:4]} == set(KINDS)


def test_the_start_goes_on_where_it_was_stopped(bank: Floats, kinds: list[str]) -> None:
    first = [i for i in range(200) if kinds[i] == "code"][:5]
    rest = choose_probes(shipped(), bank, kinds, SPREAD - 5, asked=first)
    assert not set(first) & set(rest)
    assert Counter(kinds[i] for i in [*first, *rest])["code"] == 5


def test_a_kind_with_few_probes_gives_all_and_the_others_more(bank: Floats) -> None:
    kinds = ["rare"] * 2 + ["common"] * 198
    chosen = choose_probes(shipped(), bank, kinds, SPREAD)
    assert {0, 1} <= set(chosen)
    assert len(chosen) == SPREAD


def test_equal_arguments_give_equal_probes_and_another_seed_others(bank: Floats, kinds: list[str]) -> None:
    a, b, other = (choose_probes(shipped(), bank, kinds, 40, seed=seed) for seed in (3, 3, 4))
    assert a == b
    assert a[:SPREAD] != other[:SPREAD]


def test_no_probe_is_chosen_twice_and_a_small_bank_is_asked_whole(bank: Floats, kinds: list[str]) -> None:
    asked = [3, 17, 50]
    chosen = choose_probes(shipped(), bank[:60], kinds[:60], 100, asked=asked)
    assert sorted([*chosen, *asked]) == list(range(60))


def expected_picks(bank: Floats, traffic: Floats, known: list[int], count: int) -> list[int]:
    """The greedy design by inverting the posterior precision anew for every candidate, in float64."""
    locus, named = shipped().locus, shipped().space.embeddings.named.mean(axis=0)
    x, t = (locus.design(locus.asked(q)).astype(np.float64) for q in (bank, traffic))
    noise = locus.network.spread(sigmoid(locus.asked(bank).odds)).astype(np.float64)
    prior = np.diag(locus.variance(named))
    picked = list(known)
    for _ in range(count):
        left = []
        for i in range(len(bank)):
            rows = [*picked, i]
            a = x[rows] @ prior
            covariance = prior - a.T @ np.linalg.solve(a @ x[rows].T + np.diag(noise[rows]), a)
            left.append(np.inf if i in picked else np.einsum("td,de,te->", t, covariance, t))
        picked.append(int(np.argmin(left)))
    return picked[len(known) :]


def test_after_the_start_the_variance_over_the_traffic_is_lowered_most(bank: Floats) -> None:
    traffic = shipped().locus.features.anchors[100:130]
    known = list(range(SPREAD))
    small = bank[:30]
    chosen = choose_probes(shipped(), small, ["any"] * 30, 3, asked=known, traffic_q=traffic)
    assert chosen == expected_picks(small, traffic, known, 3)


def test_probes_are_chosen_for_the_traffic(bank: Floats, kinds: list[str], model: Embedding) -> None:
    """The nearest probes of a traffic of one query are among the first."""
    asked = list(range(SPREAD))
    for row in (40, 90, 140):
        chosen = choose_probes(
            shipped(), bank, kinds, 8, embedding=model, asked=asked, traffic_q=np.tile(bank[row], (4, 1))
        )
        assert row in chosen


def test_chosen_probes_leave_less_doubt_than_random_ones(bank: Floats, kinds: list[str], model: Embedding) -> None:
    traffic = np.random.default_rng(5).permutation(shipped().locus.features.anchors)[:200]
    asked = list(range(SPREAD))
    chosen = choose_probes(shipped(), bank, kinds, 32, embedding=model, asked=asked, traffic_q=traffic)
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(np.arange(SPREAD, 200))[:32].tolist() for _ in range(5)]
    y = graded(model, bank)
    domains = shipped().locus.asked(traffic).features.domains

    def doubt(rows: list[int]) -> float:
        after = shipped().embed(bank[[*asked, *rows]], y[[*asked, *rows]])
        return float((domains @ after.variances).mean())

    assert doubt(chosen) < min(map(doubt, drawn))


def test_what_the_model_is_known_for_elsewhere_is_not_asked_again(bank: Floats, kinds: list[str]) -> None:
    """A model with many evaluations of one kind of question is asked about the others."""
    router = shipped()
    domains = router.domains(router.locus.features.anchors)
    common = int(np.bincount(domains).argmax())
    known_for = router.locus.features.anchors[domains == common]
    specialist = router.embed(np.tile(known_for, (20, 1)), np.tile(np.arange(len(known_for)) % 2, 20))
    asked = list(range(SPREAD))

    def share(embedding: Embedding | None) -> float:
        chosen = choose_probes(router, bank, kinds, 40, embedding=embedding, asked=asked, traffic_q=bank)
        return float((router.domains(bank[chosen]) == common).mean())

    assert share(specialist) < share(None)


def test_wrong_arguments_are_refused(bank: Floats, kinds: list[str]) -> None:
    with pytest.raises(ValueError, match="expected 3 encodings"):
        choose_probes(shipped(), bank, kinds[:3], 4)
    with pytest.raises(ValueError, match="asked has 200"):
        choose_probes(shipped(), bank, kinds, 4, asked=[200])
