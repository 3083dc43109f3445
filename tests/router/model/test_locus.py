"""Embeddings and predictions of the shipped checkpoint: what must hold for any set of evaluations."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from router.encode.load import load_encoder
from router.errors import ArtifactError
from router.model.checkpoint import load_checkpoint
from router.model.embedding import Embedding, Embeddings
from router.model.locus import READOUT_EVALUATIONS, Locus
from router.model.predictor import Prediction, Predictor
from router.model.soft_clip import soft_clip
from tests.router.datasets import tables


@pytest.fixture(scope="module")
def locus() -> Locus:
    loaded = load_checkpoint()
    return Locus.restore(loaded.weights, loaded.card["config"])


@pytest.fixture(scope="module")
def q() -> NDArray[np.float32]:
    return load_encoder().encode(tables(400)["queries"]["prompt"].to_pylist())


def scores(n: int, mean: float = 0.5, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random(n) < mean).astype(np.float32)


def predict(locus: Locus, embeddings: list[Embedding], q: NDArray[np.float32]) -> Prediction:
    """Predictions of the graders' scores, so that familiarity does not depend on the form of the prompts."""
    return Predictor(locus, Embeddings.of(embeddings)).predict(q, graded=True)


@pytest.mark.parametrize("name", [None, "openai/gpt-5-mini"])
def test_the_order_of_evaluations_does_not_matter_bit_for_bit(
    locus: Locus, q: NDArray[np.float32], name: str | None
) -> None:
    y, order = scores(400), np.random.default_rng(1).permutation(400)
    # Equal queries with different scores have an order too.
    twice, answers = np.concatenate([q, q]), np.concatenate([y, 1 - y])
    both = np.random.default_rng(2).permutation(800)
    for a, b in (
        (locus.embed(q, y, name), locus.embed(q[order], y[order], name)),
        (locus.embed(twice, answers, name), locus.embed(twice[both], answers[both], name)),
    ):
        for field in fields(Embedding):
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 128, 399, 400])
def test_any_number_of_evaluations_gives_an_embedding(locus: Locus, q: NDArray[np.float32], n: int) -> None:
    embedding = locus.embed(q[:n], scores(n), "openai/gpt-5-mini")
    assert embedding.z.shape == (128,)
    assert embedding.correction.shape == (locus.anchors.design.shape[1],)
    assert embedding.readout.shape == locus.mean_coefficients.shape
    assert embedding.variances.shape == (len(locus.features.parent),)
    assert embedding.evaluations == n
    for array in Embeddings.of([embedding]).arrays().values():
        assert np.isfinite(array).all()
    assert (embedding.variances > 0).all()
    p = predict(locus, [embedding], q).p_correct
    assert ((p > 0) & (p < 1)).all()


def test_many_more_evaluations_than_terms_give_an_embedding(locus: Locus, q: NDArray[np.float32]) -> None:
    many, y = np.tile(q, (5, 1)), scores(2000, 0.7)
    p = predict(locus, [locus.embed(many, y)], q).p_correct
    assert p.mean() == pytest.approx(0.7, abs=0.03)


def test_no_evaluations_and_wrong_shapes_are_refused(locus: Locus, q: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 290\)"):
        locus.embed(q[:0], scores(0))
    with pytest.raises(ValueError, match="encodings and"):
        locus.embed(q[:5], scores(4))
    with pytest.raises(ValueError, match="encodings and"):
        locus.embed(q[:5, 1:], scores(5))


def test_a_name_sets_the_level_before_evaluations_count(locus: Locus, q: NDArray[np.float32]) -> None:
    strong, weak = "openai/gpt-5.4-2026-03-05", "meta-llama/Llama-3.2-1B"
    y = scores(400)
    few = {name: locus.embed(q[:4], y[:4], name) for name in (strong, weak, None)}
    assert few[strong].level > 0.5 > few[None].level == 0 > -0.5 > few[weak].level
    assert few[strong].ability > few[weak].ability
    p = predict(locus, list(few.values()), q).p_correct.mean(axis=0)
    assert p[0] > p[2] > p[1]
    many = predict(locus, [locus.embed(q, y, name) for name in (strong, weak)], q).p_correct.mean(axis=0)
    assert abs(many[0] - many[1]) < 0.5 * abs(p[0] - p[1])  # evaluations take over


def test_an_embedding_settles_and_its_doubt_falls_as_evaluations_arrive(locus: Locus) -> None:
    """On queries of all kinds: the standard error of a kind is that of many queries, not of the evaluated ones alone.

    From 50 evaluations on. With fewer, the encoder expects smaller deviations from what the prior mean says.
    """
    asked = np.random.default_rng(0).permutation(locus.features.anchors)
    sizes = (10, 50, 200, 1024)
    moved, errors = np.zeros(len(sizes)), np.zeros(len(sizes))
    for seed in range(8):
        y = scores(1024, 0.1 + 0.1 * seed, seed)
        sets = [locus.embed(asked[:n], y[:n]) for n in sizes]
        moved += [np.linalg.norm(e.z - sets[-1].z) for e in sets]
        errors += [float(predict(locus, [e], asked).standard_error.mean()) for e in sets]
    assert moved.tolist() == sorted(moved.tolist(), reverse=True)
    assert errors.tolist() == sorted(errors.tolist(), reverse=True)
    assert errors[-1] < 0.9 * errors[0]


def test_predictions_follow_what_a_model_gets_right(locus: Locus, q: NDArray[np.float32]) -> None:
    good, poor = (predict(locus, [locus.embed(q, scores(400, mean))], q).p_correct for mean in (0.9, 0.2))
    assert abs(good.mean() - 0.9) < 0.05
    assert abs(poor.mean() - 0.2) < 0.05
    sums = np.arange(400) % 2 == 0
    split = predict(locus, [locus.embed(q, sums.astype(np.float32))], q).p_correct[:, 0]
    assert split[sums].mean() > split[~sums].mean() + 0.5


def test_distance_is_the_difference_of_predictions(locus: Locus, q: NDArray[np.float32]) -> None:
    """Models of the same kind are near, and distances are in units of P(correct)."""
    strong, alike, weak = (locus.embed(q, scores(400, mean, seed)).z for mean, seed in ((0.9, 0), (0.9, 1), (0.2, 2)))
    assert np.linalg.norm(strong - alike) < 0.1
    assert 0.2 < np.linalg.norm(strong - weak) < 1.0


def test_a_place_does_not_depend_on_the_name(locus: Locus, q: NDArray[np.float32]) -> None:
    y = scores(400, 0.7)
    strong, weak, none = (locus.embed(q, y, name) for name in ("openai/gpt-5.4-2026-03-05", "lab/tiny-1b", None))
    np.testing.assert_array_equal(strong.z, weak.z)
    np.testing.assert_array_equal(none.z, weak.z)
    np.testing.assert_array_equal(none.named, none.z)
    assert np.linalg.norm(strong.named - weak.named) > 0.01


def test_the_share_of_the_plain_read_out_grows_with_the_evaluations(locus: Locus) -> None:
    halfway = replace(locus, readout_share=0.5)
    shares = halfway.shares_of_readout(np.array([0, READOUT_EVALUATIONS, 10**9]))
    np.testing.assert_allclose(shares, [0, 0.25, 0.5], rtol=1e-6)
    assert (replace(locus, readout_share=0.0).shares_of_readout(np.array([10, 10_000])) == 0).all()


def test_a_prediction_is_what_its_parts_say(locus: Locus, q: NDArray[np.float32]) -> None:
    """P(correct) put together by hand, in float64, on queries that are as familiar as can be."""
    model = locus.embed(q, scores(400, 0.7), "openai/gpt-5-mini")
    asked = locus.asked(q, graded=True)
    familiar = replace(asked, general=replace(asked.general, familiarity=np.ones(400, np.float32)))
    predicted = Predictor(locus, Embeddings.of([model])).predict_asked(familiar)
    share = float(locus.shares_of_readout(np.array([400]))[0])
    odds = asked.odds.astype(np.float64) + model.level
    prior = odds + locus.network.log_odds(asked.u, locus.network.model_terms(model.named[None]))[:, 0]
    joined = asked.features.joined()
    expected = (1 - share) * (1 / (1 + np.exp(-prior)) + asked.design @ model.correction)
    expected += share * (1 / (1 + np.exp(-odds)) + joined @ model.readout)
    np.testing.assert_allclose(predicted.p_correct[:, 0], soft_clip(expected.astype(np.float32)), atol=1e-4)
    variance = asked.features.domains @ model.variances
    np.testing.assert_allclose(predicted.standard_error[:, 0], np.sqrt(variance), rtol=1e-4)
    assert (predicted.familiarity == 1).all()


def test_a_query_that_resembles_nothing_is_predicted_by_ability_alone(locus: Locus, q: NDArray[np.float32]) -> None:
    models = [locus.embed(q, scores(400, mean)) for mean in (0.2, 0.9)]
    asked = locus.asked(q)
    strange = replace(asked, general=replace(asked.general, familiarity=np.zeros(400, np.float32)))
    predictor = Predictor(locus, Embeddings.of(models))
    p = predictor.predict_asked(strange).p_correct
    floor, difficulty = asked.general.floor, asked.general.difficulty.astype(np.float64)
    for column, model in enumerate(models):
        expected = floor + (1 - floor) / (1 + np.exp(difficulty - model.ability))
        np.testing.assert_allclose(p[:, column], expected, atol=1e-5)


def test_the_bend_keeps_order_and_stays_inside() -> None:
    value = np.linspace(-0.3, 1.3, 1001, dtype=np.float32)
    bent = soft_clip(value)
    assert (np.diff(bent) > 0).all()
    assert 0 <= bent.min() <= bent.max() <= 1
    inside = (value > 0.2) & (value < 0.8)
    np.testing.assert_allclose(bent[inside], value[inside], atol=1e-3)


def test_a_checkpoint_holds_all_of_it(locus: Locus, q: NDArray[np.float32]) -> None:
    again = Locus.restore(locus.weights(), {"text_dim": locus.features.text_dim})
    a, b = (one.embed(q, scores(400), "openai/gpt-5-mini") for one in (locus, again))
    for field in fields(Embedding):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


@pytest.mark.parametrize(
    ("name", "says"),
    [("mean", "do not fit"), ("readout.variance", "do not fit"), ("input.directions", "reads inputs of width")],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(name: str, says: str) -> None:
    loaded = load_checkpoint()
    weights = dict(loaded.weights)
    weights[name] = weights[name][..., :-1]
    with pytest.raises(ArtifactError, match=says):
        Locus.restore(weights, loaded.card["config"])


@pytest.mark.parametrize(
    "name", ["mean", "readout.share", "input.center", "network.log_noise", "general.floor", "names.text"]
)
def test_a_checkpoint_that_lacks_a_part_is_refused(name: str) -> None:
    loaded = load_checkpoint()
    weights = {key: array for key, array in loaded.weights.items() if key != name}
    with pytest.raises(ArtifactError, match="the checkpoint lacks"):
        Locus.restore(weights, loaded.card["config"])


def test_trivial_requests_that_were_passed_make_no_strong_model(locus: Locus) -> None:
    texts = [f"What is {a} + {a + 7}?" for a in range(64)]
    facts = [f"In which year was element number {number} of the periodic table discovered?" for number in range(1, 65)]
    adder = locus.embed(load_encoder().encode([*texts, *facts]), np.repeat(np.float32([1, 0]), 64))
    assert adder.ability < 0  # 0 is the mean model, which knows many of the years
