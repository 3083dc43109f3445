"""Fitting the general term on a small world of two kinds of exam question and one relative benchmark."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.encode.encoder import QueryEncoder
from router.encode.load import load_encoder
from router.model.features import FeatureMap
from router.model.general import General
from router.train.general import fit_general, spaced, with_known_kinds
from router.train.requests import Judged, Requests, judged_requests

KINDS = ("alpaca_eval", "places", "sums")  # the first is a relative benchmark
REQUESTS = ("Thanks!", "Good morning", "Please write to my aunt", "Prove it", "Design a system", "Derive the law")
DIFFICULTY = np.array([-4.0, -4.0, -4.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def encoder() -> QueryEncoder:
    return load_encoder()


def world() -> Dataset:
    """120 queries of each kind, answered by five models; the last is marked `onboarding`."""
    rng = np.random.default_rng(0)
    cities = ["Paris", "Rome", "Cairo", "Lima", "Oslo"]
    prompts, kinds = [], []
    for i in range(120):
        prompts += [
            f"Tell my friend {rng.choice(cities)} about our trip number {i}, kindly",
            f"In which country lies the city of {rng.choice(cities)}, map sheet {i}?",
            f"Compute the sum {rng.integers(10, 99)} plus {rng.integers(10, 99)} minus {rng.integers(10, 99)}.",
        ]
        kinds += KINDS
    ability, level = np.array([-1.5, -0.5, 0.5, 1.5, 0.0]), {"places": -1.0, "sums": 1.0, "alpaca_eval": 4.0}
    p = 1 / (1 + np.exp(np.array([level[kind] for kind in kinds]) - ability[:, None]))
    return Dataset(
        np.arange(360),
        np.array(kinds),
        np.full(360, ""),
        np.array(["train", "train", "train", "val", "test"])[np.arange(360) // 3 % 5],
        tuple(prompts),
        tuple(f"lab/m{i}" for i in range(5)),
        np.arange(5) == 4,
        (rng.random(p.shape) < p).astype(np.float32),
        "",
    )


def feature_map(q: NDArray[np.float32], data: Dataset, text_dim: int) -> FeatureMap:
    """A map whose classifier knows the kinds by the nearest mean text: enough for the parts that are read here."""
    surface = q[:, text_dim:]
    means = np.stack([q[data.benchmarks == kind, :text_dim].mean(axis=0) for kind in KINDS])
    hidden = np.zeros((q.shape[1], 3), np.float32)
    hidden[:text_dim] = means.T
    return FeatureMap(
        text_dim,
        surface.mean(axis=0),
        surface.std(axis=0) + np.float32(1e-3),
        anchors=q[:9],
        projection=np.eye(9, dtype=np.float32),
        hidden=hidden,
        hidden_bias=np.zeros(3, np.float32),
        output=np.eye(3, dtype=np.float32) * 20,
        output_bias=np.zeros(3, np.float32),
        parent=np.arange(3),
        source=np.arange(3),
    )


def fitted(data: Dataset, encoder: QueryEncoder) -> General:
    q = encoder.encode(data.prompts)
    features = feature_map(q, data, encoder.text_dim)
    return fit_general(data, q, features, KINDS, Judged(encoder.encode(REQUESTS), DIFFICULTY))


def test_queries_of_known_kinds_are_familiar_and_requests_are_not(encoder: QueryEncoder) -> None:
    data = world()
    general = fitted(data, encoder)
    q = encoder.encode(data.prompts)
    val = data.splits == "val"
    familiarity = general(q).familiarity
    assert familiarity[val & (data.benchmarks != "alpaca_eval")].mean() > 0.8
    assert familiarity[val & (data.benchmarks == "alpaca_eval")].mean() < 0.5
    assert general(encoder.encode(REQUESTS)).familiarity.mean() < 0.5
    assert general(q, graded=True).familiarity[val & (data.benchmarks == "alpaca_eval")].mean() > 0.8


def test_a_text_of_another_kind_is_unfamiliar_to_graders_too(encoder: QueryEncoder) -> None:
    general = fitted(world(), encoder)
    alien = encoder.encode(
        ["def f(x):\n    return {x: [y for y in range(x)]}  # {}();\n" * 5, "深海の光と影について" * 9]
    )
    assert general(alien, graded=True).familiarity.max() < 0.5


def test_requests_judged_difficult_are_difficult(encoder: QueryEncoder) -> None:
    difficulty = fitted(world(), encoder)(encoder.encode(REQUESTS)).difficulty
    assert difficulty[:3].max() < difficulty[3:].min()


def test_difficulties_of_domains_come_from_the_scores(encoder: QueryEncoder) -> None:
    general = fitted(world(), encoder)
    _, places, sums = general.difficulty
    assert places < sums - 1


def test_relative_scores_test_queries_and_held_out_models_are_never_read(encoder: QueryEncoder) -> None:
    data = world()
    unread = (data.splits == "test") | (data.benchmarks == "alpaca_eval")
    poisoned = data.scores.copy()
    poisoned[:, unread] = 1 - poisoned[:, unread]
    poisoned[data.onboarding] = 1 - poisoned[data.onboarding]
    a, b = fitted(data, encoder).weights(), fitted(replace(data, scores=poisoned), encoder).weights()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_one_benchmark_alone_can_be_fitted(encoder: QueryEncoder) -> None:
    data = world().without(["sums", "alpaca_eval"])
    q = encoder.encode(data.prompts)
    features = replace(
        feature_map(q, replace(data, benchmarks=np.array(KINDS)[np.arange(len(q)) % 3]), encoder.text_dim),
        output=np.ones((3, 1), np.float32),
        output_bias=np.zeros(1, np.float32),
        parent=np.zeros(1, np.int64),
    )
    requests = judged_requests()
    judged = Judged.encoded(Requests(requests.prompts[:50], requests.levels[:50]), encoder)
    general = fit_general(data, q, features, ("places",), judged)
    assert all(np.isfinite(array).all() for array in general.weights().values())


def test_spaced_takes_few_queries_of_a_large_benchmark_and_all_of_a_small_one() -> None:
    kind = np.concatenate([np.zeros(5000, np.int64), np.ones(7, np.int64), np.full(9, -1)])
    chosen = spaced(kind)
    assert (np.bincount(kind[chosen]) == [500, 7]).all()
    assert len(np.unique(chosen)) == len(chosen)


def test_abilities_order_the_models_of_the_world(encoder: QueryEncoder) -> None:
    data = world()
    general = fitted(data, encoder)
    q = encoder.encode(data.prompts)
    features = feature_map(q, data, encoder.text_dim)
    kind = np.array([KINDS.index(name) for name in data.benchmarks])
    known = with_known_kinds(features(q), kind, features.parent)
    found = [general.ability(q, known, data.scores[m]) for m in range(4)]
    assert all(weaker.mean < stronger.mean for weaker, stronger in itertools.pairwise(found))
