"""Known difficulties of questions: the correction, the key of a question, the shipped table."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from router.probes.difficulty import BETA, STEPS, TABLE, corrected, known_difficulty, query_key, save_table
from tests.router.shipped import shipped

GIVEN = "How many of the following are prime?\nA. none\nB. one"


def test_the_correction_by_hand() -> None:
    found = corrected([1, 0, 1, 0], [0.4, -0.4, np.nan, 0.4], [2, 6, 0, 0])
    assert found == pytest.approx([1 - BETA * 0.4 / 2, BETA * 0.4 * 6 / 8, 1, 0])


@given(st.integers(-STEPS, STEPS), st.integers(0, 200), st.sampled_from([0.0, 0.5, 1.0]))
def test_more_models_count_more_and_none_for_nothing(steps: int, models: int, score: float) -> None:
    difficulty = steps / STEPS  # as the table keeps it; of a much smaller one a score of 1 has no digits left
    found = corrected([score] * 2, [difficulty] * 2, [models, models + 1]) - score
    assert (np.abs(found) <= abs(difficulty) * BETA + 1e-12).all()
    assert abs(found[1]) >= abs(found[0])
    assert models > 0 or found[0] == 0


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        corrected([1, 0], [0.1], [3])


@pytest.mark.parametrize(
    "same",
    [
        "How many of the following are prime?\n(A) none\n(B) one",
        "how many of the following are PRIME ?  A) none  B) one\n",
        "How many of the\nfollowing are prime\nA: none\nB: one.",
    ],
)
def test_a_question_has_one_key_however_it_is_set(same: str) -> None:
    assert query_key(same) == query_key(GIVEN)
    assert 0 <= query_key(GIVEN) < 2**64


def test_other_options_and_other_languages_have_other_keys() -> None:
    others = [
        GIVEN,
        "How many of the following are prime?\nA. none\nB. two",
        "素数はどれですか",
        "素数はどれでしょう",
        "",
    ]
    assert len({query_key(text) for text in others}) == len(others)


def test_the_shipped_table_knows_questions_of_publishable_benchmarks() -> None:
    path = files("router.probes") / "shipped" / TABLE
    keys = load(path.read_bytes())["keys"]
    assert len(keys) > 10_000
    assert len(path.read_bytes()) < 300_000
    difficulty, models = known_difficulty([*keys.tolist(), query_key("a question that is in no benchmark")])
    assert (models[:-1] >= 3).all()
    assert (np.abs(difficulty[:-1]) <= 1).all()
    assert abs(difficulty[:-1].mean()) < 0.05  # net of what the models were predicted
    assert difficulty[:-1].std() > 0.15
    assert np.isnan(difficulty[-1])
    assert models[-1] == 0


def test_a_table_is_written_in_one_order(tmp_path: Path) -> None:
    keys, models = np.array([7, 2**64 - 1, 3], np.uint64), np.array([4, 1000, 3])
    difficulty = np.array([0.5, -1.0, 0.251])
    save_table(tmp_path / "a", keys, difficulty, models)
    order = np.array([2, 0, 1])
    save_table(tmp_path / "b", keys[order], difficulty[order], models[order])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    arrays = load((tmp_path / "a").read_bytes())
    assert arrays["keys"].tolist() == [3, 7, 2**64 - 1]
    assert (arrays["difficulty"] / 127).tolist() == pytest.approx([0.251, 0.5, -1], abs=0.004)
    assert arrays["models"].tolist() == [3, 4, 255]


def test_a_correction_takes_out_what_all_models_share() -> None:
    """A model seen on the questions that all find hard is not taken for a weak one."""
    router = shipped()
    q = router.locus.features.anchors[::4]
    rng = np.random.default_rng(0)
    shared = rng.choice([-0.35, 0.35], len(q))  # of each question, known from many models
    p = router.predict(q, ["openai/gpt-4o-mini-2024-07-18"]).p_correct[:, 0]
    y = (rng.random(len(q)) < np.clip(p + shared, 0, 1)).astype(np.float64)
    hard = np.flatnonzero(shared < 0)
    plain = router.embed(q[hard], y[hard])
    net = router.embed(q[hard], corrected(y[hard], shared[hard], np.full(len(hard), 50)), corrected=True)
    said = [float(router.predict(q, [one]).p_correct.mean()) for one in (plain, net)]
    assert abs(said[1] - y.mean()) < 0.5 * abs(said[0] - y.mean())
