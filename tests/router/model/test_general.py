"""The general term against its definition, written out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from router.encode.surface import DIM, OPTIONS_COLUMN
from router.model.features import Features
from router.model.general import EASIEST, KNOTS, General, GeneralTerms

TEXT, K, B, C = 5, 2, 3, 4


def small_general(seed: int = 0) -> General:
    rng = np.random.default_rng(seed)

    def array(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    return General(
        mean=array(DIM),
        scale=np.abs(array(DIM)) + 1,
        text=array(TEXT, 2 + K),
        surface=array(len(KNOTS) * DIM, 2 + K) / 10,
        intercept=array(2 + K),
        centres=array(B, K),
        background=np.full(K, 0.4, np.float32),
        familiar=np.array([-0.5, 1.0], np.float32),
        spread=np.array([0.2], np.float32),
        difficulty=array(C),
        floor=np.array([0, 0.5, 0], np.float32),
        discrimination=np.ones(B, np.float32),
        absolute=np.array([1, 1, 0], np.float32),
    )


def encodings(n: int, seed: int = 1) -> NDArray[np.float32]:
    q = np.random.default_rng(seed).normal(size=(n, TEXT + DIM)).astype(np.float32)
    q[:, TEXT + OPTIONS_COLUMN] = np.linspace(0, 1, n)  # from no option to ten
    return q


def test_terms_are_those_of_the_definition() -> None:
    general, q = small_general(), encodings(11)
    terms, graded = general(q), general(q, graded=True)
    for i in range(len(q)):
        z = np.minimum((q[i, TEXT:] - general.mean) / general.scale, 4.0)
        hinges = np.concatenate([np.maximum(z, knot) for knot in KNOTS])
        heads = general.intercept + q[i, :TEXT] @ general.text + hinges @ general.surface
        y = heads[2:]
        distance = min(((y - centre) ** 2).sum() for centre in general.centres) - (general.background * y**2).sum()
        w = 1 / (1 + math.exp(-(general.familiar[0] * distance + general.familiar[1])))
        assert terms.difficulty[i] == pytest.approx(max(heads[0], EASIEST), abs=1e-4)
        assert graded.familiarity[i] == pytest.approx(w, abs=1e-4)
        assert terms.familiarity[i] == pytest.approx(w / (1 + math.exp(-heads[1])), abs=1e-4)
        assert terms.floor[i] == pytest.approx(1 / i if i >= 2 else 0.0)
    assert terms.familiarity.dtype == terms.difficulty.dtype == terms.floor.dtype == np.float32


def test_extreme_prompts_have_finite_terms() -> None:
    terms = small_general()(encodings(3) * 1000)
    assert np.isfinite(terms.difficulty).all()
    assert ((terms.familiarity >= 0) & (terms.familiarity <= 1)).all()


def test_weights_restore_the_same_term() -> None:
    general, q = small_general(), encodings(4)
    again = General.restore(general.weights())
    assert np.array_equal(again(q).difficulty, general(q).difficulty)
    assert np.array_equal(again(q).familiarity, general(q).familiarity)


def one_term(w: float, difficulty: float, floor: float = 0.0) -> GeneralTerms:
    return GeneralTerms(*(np.array([value], np.float32) for value in (w, difficulty, floor)))


def combined(terms: GeneralTerms, ability: list[float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    models = len(ability)
    return small_general().combine(
        terms,
        np.full((1, models), 0.8, np.float32),
        np.full((1, models), 0.01, np.float32),
        np.array(ability, np.float32),
        np.full(models, 0.1, np.float32),
    )


def test_a_familiar_prompt_keeps_the_prediction_of_its_kind() -> None:
    p, variance = combined(one_term(1.0, 3.0), [-1.0, 2.0])
    assert p[0] == pytest.approx([0.8, 0.8])
    assert variance[0] == pytest.approx([0.01, 0.01])


def test_an_unfamiliar_prompt_depends_on_difficulty_and_ability_alone() -> None:
    p, variance = combined(one_term(0.0, 1.0), [0.0, 1.0])
    assert p[0] == pytest.approx([1 / (1 + math.e), 0.5])
    assert variance[0, 1] == pytest.approx(0.25 * 0.2 + 0.25**2 * 0.1)


def test_between_the_two_it_is_their_mixture() -> None:
    p, variance = combined(one_term(0.5, 1.0), [1.0])
    assert p[0, 0] == pytest.approx((0.8 + 0.5) / 2)
    assert variance[0, 0] == pytest.approx((0.01 + 0.25 * 0.2 + 0.25**2 * 0.1) / 2)


def test_options_raise_the_chance_of_a_correct_guess() -> None:
    p, _ = combined(one_term(0.0, 1.0, floor=0.25), [1.0])
    assert p[0, 0] == pytest.approx(0.25 + 0.75 * 0.5)


def test_an_easier_prompt_is_easier_for_every_model_and_narrows_their_differences() -> None:
    abilities = [-1.0, 0.0, 1.0]
    easy, _ = combined(one_term(0.0, -4.0), abilities)
    hard, _ = combined(one_term(0.0, 1.0), abilities)
    assert (easy > hard).all()
    assert np.ptp(easy) < np.ptp(hard)


def test_scores_relative_to_a_reference_do_not_count_for_the_ability() -> None:
    general, q = small_general(), encodings(60)
    kind = np.arange(60) % B  # the third benchmark is relative
    features = Features(
        np.eye(B, dtype=np.float32)[kind], np.eye(C, dtype=np.float32)[kind], np.ones((60, 1), np.float32)
    )
    y = (np.arange(60) % 2).astype(np.float32)
    changed = np.where(kind == 2, 1 - y, y).astype(np.float32)
    assert general.ability(q, features, y) == general.ability(q, features, changed)
    assert general.ability(q, features, y) != general.ability(q, features, np.where(kind == 1, 1 - y, y))
