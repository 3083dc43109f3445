"""Predictions for everyday prompts by the shipped router: their order and their doubt, never exact values."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router import Prediction, Router
from router.encode.load import PRETRAINED
from router.model.anchors import load_anchors
from router.model.checkpoint import load_checkpoint
from tests.router.everyday.prompts import everyday_pairs

ENGLISH = np.array([pair.language == "en" for pair in everyday_pairs()])


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


@pytest.fixture(scope="module")
def easy(router: Router) -> Prediction:
    return router.predict([pair.easy for pair in everyday_pairs()])


@pytest.fixture(scope="module")
def hard(router: Router) -> Prediction:
    return router.predict([pair.hard for pair in everyday_pairs()])


@pytest.mark.parametrize("language", ["English", "other"])
def test_easy_prompts_come_before_hard_ones(easy: Prediction, hard: Prediction, language: str) -> None:
    pairs = (language == "English") == ENGLISH
    ordered = mean_model(easy)[pairs] >= mean_model(hard)[pairs]
    assert ordered.mean() >= 0.9


def test_models_differ_less_on_easy_prompts_than_on_hard_ones(easy: Prediction, hard: Prediction) -> None:
    def range_of_models(prediction: Prediction) -> NDArray[np.float64]:
        low, high = np.quantile(prediction.p_correct, [0.1, 0.9], axis=1)
        return np.asarray(high - low)

    assert (range_of_models(easy) <= range_of_models(hard)).mean() >= 0.8


def test_prompts_of_no_known_kind_have_a_larger_standard_error_than_the_benchmark_that_a_model_is_known_on(
    router: Router, hard: Prediction
) -> None:
    anchors = load_anchors(load_checkpoint(PRETRAINED))
    of_anchors = router.scorer(router.space.models).predict(anchors.q, graded=True).standard_error
    known = np.min(list(anchors.means(of_anchors).values()), axis=0)  # (M,)
    assert (hard.standard_error.mean(axis=0) > known).mean() >= 0.8
    assert hard.standard_error.mean() > 1.2 * known.mean()


def mean_model(prediction: Prediction) -> NDArray[np.float64]:
    """P(correct) of the mean model on each prompt, (n,)."""
    return np.asarray(prediction.p_correct.mean(axis=1, dtype=np.float64))
