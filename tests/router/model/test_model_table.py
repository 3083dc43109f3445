import numpy as np
import pytest

from router.errors import ArtifactError
from router.model.model_table import ModelTable, PricePerMtok, highest, with_switch_price
from router.model.serving import Router

EMBEDDINGS = ("meta-llama/Llama-3.1-8B-Instruct", None, "meta-llama/Llama-3.1-70B-Instruct")
PRICES = [PricePerMtok(1.0, 2.0, 0.5), PricePerMtok(0.0, 0.0, 0.0), PricePerMtok(10.0, 20.0, 12.0)]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


def table(router: Router, *more: str) -> ModelTable:
    return ModelTable(router, (*EMBEDDINGS, *more), [*PRICES, *[PRICES[0]] * len(more)])


def test_predictions_are_the_routers_and_nan_without_an_embedding(router: Router) -> None:
    q = router.encoder.encode(["What is 2 + 2?"])
    got = table(router).predict(q)
    names = [name for name in EMBEDDINGS if name is not None]
    expected = router.scorer(names).predict(q)
    np.testing.assert_array_equal(got.p_correct[[0, 2]], expected.p_correct[0])
    np.testing.assert_array_equal(got.standard_error[[0, 2]], expected.standard_error[0])
    assert np.isnan([got.p_correct[1], got.standard_error[1]]).all()
    assert got.p_correct.dtype == got.standard_error.dtype == np.float32


def test_without_an_encoding_or_an_embedding_there_is_no_prediction(router: Router) -> None:
    for got in (
        table(router).predict(None),
        ModelTable(router, [None], PRICES[:1]).predict(router.encoder.encode(["x"])),
    ):
        assert np.isnan(got.p_correct).all()
        assert got.familiarity is None or 0 <= got.familiarity <= 1


def test_an_unknown_embedding_is_an_error(router: Router) -> None:
    with pytest.raises(ArtifactError):
        table(router, "no/such-model")


def test_prices_and_cache_discounts(router: Router) -> None:
    models = table(router)
    np.testing.assert_allclose(models.expected_usd(1_000_000, 500_000), [2.0, 0.0, 20.0])
    assert models.cache_discount_usd(0, 100_000, 100_000) == pytest.approx(0.05)
    assert models.cache_discount_usd(2, 100_000, 100_000) == 0.0  # cached tokens are more expensive there
    assert models.expected_usd(1, 1).dtype == np.float64


def test_prices_of_long_prompts(router: Router) -> None:
    long = PricePerMtok(2.0, 3.0, 1.0)
    tiered = PricePerMtok(1.0, 2.0, 0.5, ((100_000, long), (300_000, PricePerMtok(4.0, 5.0, 3.0))))
    other = PricePerMtok(10.0, 10.0, 10.0, ((200_000, PricePerMtok(20.0, 20.0, 20.0)),))
    models = ModelTable(router, EMBEDDINGS, [tiered, PRICES[0], other])
    for tokens, expected in (
        (100_000, [0.1, 0.1, 1.0]),
        (100_001, [0.200002, 0.100001, 1.00001]),
        (200_001, [0.400002, 0.200001, 4.00002]),
        (400_000, [1.6, 0.4, 8.0]),
    ):
        np.testing.assert_allclose(models.expected_usd(tokens, 0), expected)
    assert models.cache_discount_usd(0, 100_000, 50_000) == pytest.approx(0.025)
    assert models.cache_discount_usd(0, 100_001, 50_000) == pytest.approx(0.05)


def test_a_price_that_is_not_known_counts_as_the_highest(router: Router) -> None:
    models = ModelTable(router, EMBEDDINGS, [PRICES[0], None, PRICES[2]])
    assert models.priced.tolist() == [True, False, True]
    assert models.expected_usd(1_000_000, 500_000).tolist() == [2.0, 20.0, 20.0]
    assert models.cache_discount_usd(1, 1_000, 1_000) == 0.0
    assert ModelTable(router, EMBEDDINGS, [None] * 3).expected_usd(9, 9).tolist() == [0.0, 0.0, 0.0]


def test_distances_are_between_embeddings_and_unknown_without_one(router: Router) -> None:
    models = table(router, EMBEDDINGS[0] or "")
    z = router.space.z[router.space.rows([EMBEDDINGS[0] or "", EMBEDDINGS[2] or ""])]
    np.testing.assert_allclose(models.distances(0), [0.0, np.nan, np.linalg.norm(z[0] - z[1]), 0.0])
    assert np.isnan(models.distances(1)).all()


def test_a_switch_price_reduces_all_models_but_the_current_one() -> None:
    p = np.array([0.5, 0.75, np.nan], np.float32)
    np.testing.assert_array_equal(with_switch_price(p, 1, 0.25), np.array([0.25, 0.75, np.nan], np.float32))
    np.testing.assert_array_equal(p, np.array([0.5, 0.75, np.nan], np.float32))


def test_the_highest_allowed_values() -> None:
    values = np.array([0.1, 0.9, 0.5, 0.7])
    assert sorted(highest(values, np.array([True, False, True, True]), 2)) == [2, 3]
    assert sorted(highest(values, np.array([True, False, False, False]), 1)) == [0]
    assert highest(values, np.zeros(4, np.bool_), 4) == [0, 1, 2, 3]
