"""How the difficulty that other models show is fitted to a model's residuals."""

import numpy as np
import pytest

from research.measure_onboarding import difficulty_explains


def test_two_models_by_hand() -> None:
    # Each model's residuals are explained by the other's, over 1 + 2 models: 0.3 by 0.2 and 0.6 by 0.1.
    beta, before, after = difficulty_explains(np.array([[0.3, np.nan], [0.6, 0.5]], np.float32))
    assert beta == pytest.approx((0.3 * 0.2 + 0.6 * 0.1) / (0.2**2 + 0.1**2))
    assert before == pytest.approx((0.3**2 + 0.6**2) / 2)
    assert after == pytest.approx(((0.3 - beta * 0.2) ** 2 + (0.6 - beta * 0.1) ** 2) / 2)


def test_what_all_models_share_is_explained_and_what_is_their_own_is_not() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.3, 400), rng.normal(0, 0.3, (30, 400))
    beta, before, after = difficulty_explains((shared + own).astype(np.float32))
    assert beta == pytest.approx(1, abs=0.1)
    assert before == pytest.approx(0.18, abs=0.02)
    assert after == pytest.approx(0.09, abs=0.01)
    assert abs(difficulty_explains(own.astype(np.float32))[0]) < 0.2
