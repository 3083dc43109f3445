"""Training the network on episodes of a world whose models' skills are known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.pools import Pool
from router.model.network import Network, sigmoid
from router.train.episodes import TOKENS, Episodes, episode_pools
from router.train.fit_network import (
    FEWEST_STEPS,
    LAST_RATE,
    PARTS,
    READINGS,
    STEPS,
    WARM_UP,
    NetworkData,
    fit_network,
    learning_rate,
    steps_for,
)

QUERIES, TRAINED, NEW = 240, 30, 8  # models that training sees, and others
KIND = np.arange(QUERIES) % 2


class World:
    """Models whose skills at two kinds of question are independent; the mean model is 0.5 everywhere."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.p = 1 / (1 + np.exp(-rng.normal(scale=1.5, size=(TRAINED + NEW, 2))[:, KIND]))  # (M, Q)
        self.scores = (rng.random(self.p.shape) < self.p).astype(np.float32)
        kinds = np.eye(2, dtype=np.float32)[KIND]
        noise = rng.normal(size=(QUERIES, 3)).astype(np.float32)
        self.mean = np.full(QUERIES, 0.5, np.float32)
        self.inputs = np.concatenate([kinds, noise, np.zeros((QUERIES, 1), np.float32)], axis=1)
        noisy = np.array([0, 0, 1, 1, 1, 0], np.float32)
        self.data = NetworkData(self.inputs, noisy, self.mean, kinds, noise, np.zeros(TRAINED, np.float32))

    def episodes(self, seed: int) -> Episodes:
        scores = self.scores[:TRAINED]
        pools = episode_pools([Pool("p", np.arange(QUERIES), np.arange(TRAINED))], scores, KIND)
        psi = np.concatenate([np.ones((QUERIES, 1), np.float32), self.data.kinds], axis=1)
        return Episodes(pools, scores, psi, self.mean, np.full(3, 0.02), np.random.default_rng(seed))

    def train(
        self, steps: int, seed: int = 0, told: list[tuple[int, str]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        def progress(part: int, note: str) -> None:
            if told is not None:
                told.append((part, note))

        return fit_network(self.data, self.episodes(seed), seed, steps, progress)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def network(world: World) -> Network:
    return Network(world.train(150))


def prior_mean(world: World, network: Network, model: int, n: int) -> NDArray[np.float32]:
    """P(correct) of a model by attention over its first n evaluations, (Q,)."""
    x, mean = world.inputs, world.mean
    z = network.embed(x[:n], world.scores[model, :n], mean[:n])
    u, _ = network.query_terms(x)
    return sigmoid(network.log_odds(u, network.model_terms(z[None]))[:, 0])


def test_a_model_that_was_never_seen_is_predicted_better_than_by_the_mean_model(world: World, network: Network) -> None:
    error = {n: [] for n in (4, 16, 64)}
    for model in range(TRAINED, TRAINED + NEW):
        for n, found in error.items():
            found.append(np.mean((prior_mean(world, network, model, n) - world.p[model])[n:] ** 2))
    of_mean = np.mean((world.mean - world.p[TRAINED:]) ** 2)
    of = {n: np.mean(found) for n, found in error.items()}
    assert of[64] < of[16] < of[4] < of_mean
    assert of[64] < 0.8 * of_mean  # by the prior mean alone, after few steps


def test_distances_are_differences_of_predictions(world: World, network: Network) -> None:
    n = 128
    x, mean = world.inputs[:n], world.mean[:n]
    z = np.stack([network.embed(x, world.scores[m, :n], mean) for m in range(TRAINED, TRAINED + NEW)])
    first, second = np.triu_indices(NEW, 1)
    apart = np.linalg.norm(z[first] - z[second], axis=1)
    p = world.p[TRAINED:]
    differ = np.sqrt(((p[first] - p[second]) ** 2).mean(axis=1))
    assert np.corrcoef(apart, differ)[0, 1] > 0.7
    assert 0.3 < np.median(apart / differ) < 2


def test_the_same_seed_gives_the_same_weights_bit_for_bit(world: World) -> None:
    first, again, other = (world.train(8, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    assert all(np.isfinite(array).all() for array in first.values())


@pytest.mark.parametrize("steps", [PARTS // 2, PARTS, 2 * PARTS + 7])
def test_progress_is_told_in_parts_whatever_the_number_of_steps(world: World, steps: int) -> None:
    told: list[tuple[int, str]] = []
    world.train(steps, told=told)
    parts = [part for part, _ in told]
    assert parts == sorted(set(parts))
    assert parts[-1] == PARTS
    assert len(parts) == min(steps, PARTS)
    assert told[-1][1].startswith("loss ")


def test_few_evaluations_train_few_steps_and_many_train_all() -> None:
    assert steps_for(0) == steps_for(900) == FEWEST_STEPS
    assert steps_for(24_000) == READINGS * 24_000 // TOKENS == 1000
    assert steps_for(100_000) == steps_for(10**9) == STEPS


def test_the_learning_rate_warms_up_and_falls() -> None:
    rates = np.array([learning_rate(step, STEPS) for step in range(STEPS)])
    assert rates[0] < 0.05
    assert rates.argmax() == WARM_UP - 1
    assert (np.diff(rates[:WARM_UP]) > 0).all()
    assert (np.diff(rates[WARM_UP:]) < 0).all()
    assert math.isclose(rates[-1], LAST_RATE, abs_tol=1e-3)
