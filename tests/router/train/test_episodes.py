"""Training episodes: what is in them, what never is, and how often each kind of model occurs."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.pools import Pool
from router.train.episodes import (
    BATCH,
    FEWEST,
    FEWEST_QUERIES,
    FULL_WEIGHT,
    MOST,
    SHARES,
    TARGETS,
    TOKENS,
    Episode,
    EpisodePool,
    Episodes,
    episode_pools,
)

MODELS, QUERIES = 12, 900
FIRST = 700  # queries of the first pool; the others are the second


def scores() -> NDArray[np.float32]:
    """Scores that tell which model and query they are from: 0.5 and less on all queries; a third of them are missing."""
    rng = np.random.default_rng(0)
    values = np.linspace(0.01, 0.5, MODELS * QUERIES, dtype=np.float32).reshape(MODELS, QUERIES)
    values[rng.random(values.shape) < 1 / 3] = np.nan
    values[-1] = np.nan  # a model without evaluations
    return values


def pools(values: NDArray[np.float32]) -> list[EpisodePool]:
    models = np.arange(MODELS - 1)
    parts = (np.arange(FIRST), np.arange(FIRST, QUERIES))
    domains = np.arange(QUERIES) % 5
    return episode_pools([Pool(str(i), queries, models) for i, queries in enumerate(parts)], values, domains)


def draws(number: int, seed: int = 0) -> Iterator[Episode]:
    values = scores()
    psi = np.random.default_rng(1).normal(size=(QUERIES, 6)).astype(np.float32)
    mean = np.full(QUERIES, 0.6, np.float32)
    episodes = Episodes(pools(values), values, psi, mean, np.full(6, 0.01), np.random.default_rng(seed))
    for _ in range(number):
        episode = episodes.draw()
        if episode is not None:
            yield episode


@pytest.fixture(scope="module")
def drawn() -> list[Episode]:
    return list(draws(400))


def test_shapes_and_sizes(drawn: list[Episode]) -> None:
    assert len(drawn) == 400
    for episode in drawn:
        size, n = episode.context.shape
        assert episode.y.shape == (size, n)
        assert episode.models.shape == (size,)
        assert episode.target_y.shape == (size, len(episode.targets))
        assert len(episode.targets) == TARGETS
        assert FEWEST <= n <= MOST
        assert 1 <= size <= BATCH[1]
        assert size * n <= max(TOKENS, BATCH[0] * MOST)
        assert episode.y.dtype == episode.target_y.dtype == np.float32
    sizes = np.array([episode.context.shape[1] for episode in drawn])
    assert np.median(sizes) < 80  # as often 4 to 8 evaluations as 200 to 400
    assert sizes.max() > 250


def test_no_target_is_in_a_context_and_no_query_twice(drawn: list[Episode]) -> None:
    for episode in drawn:
        assert len(set(episode.targets.tolist())) == len(episode.targets)
        for row in episode.context:
            assert len(set(row.tolist())) == len(row)
            assert not set(row.tolist()) & set(episode.targets.tolist())


def test_scores_of_real_models_are_their_own(drawn: list[Episode]) -> None:
    values = scores()
    for episode in drawn:
        for row, model in enumerate(episode.models):
            if model >= 0:
                np.testing.assert_array_equal(episode.y[row], values[model, episode.context[row]])
                np.testing.assert_array_equal(episode.target_y[row], values[model, episode.targets])


def test_contexts_have_no_missing_score_and_each_model_a_target(drawn: list[Episode]) -> None:
    for episode in drawn:
        assert not np.isnan(episode.y).any()
        assert ((episode.y >= 0) & (episode.y <= 1)).all()
        assert not np.isnan(episode.target_y).all(axis=1).any()


def test_targets_are_of_one_pool_and_half_of_the_contexts_go_beyond_it(drawn: list[Episode]) -> None:
    beyond = []
    for episode in drawn:
        first = episode.targets < FIRST
        assert first.all() or not first.any()
        beyond += [(row < FIRST).any() != first.any() or (row < FIRST).all() != first.all() for row in episode.context]
    assert 0.2 < np.mean(beyond) < 0.6


def test_most_models_are_real(drawn: list[Episode]) -> None:
    real = np.concatenate([episode.models >= 0 for episode in drawn])
    assert real.mean() == pytest.approx(SHARES[0], abs=0.1)  # fewer where the pool has too few evaluations
    assert set(np.concatenate([episode.models for episode in drawn]).tolist()) == {-1, *range(MODELS - 1)}


def test_invented_models_are_mixtures_shifted_or_drawn(drawn: list[Episode]) -> None:
    """By the score of the world, none but a shift or a draw gives 0 or 1, and a draw gives nothing else."""
    values = scores()
    kinds = {"mixed": 0, "shifted": 0, "drawn": 0}
    for episode in drawn:
        for row in np.flatnonzero(episode.models < 0):
            y = np.concatenate([episode.y[row], episode.target_y[row]])
            extreme = np.isin(y, [0, 1])
            if extreme.all():
                kinds["drawn"] += 1
            elif extreme.any():
                kinds["shifted"] += 1
            else:
                kinds["mixed"] += 1
                assert np.isin(episode.y[row], values).all()
    assert min(kinds.values()) > 20


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = (list(draws(20, seed)) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        for name in vars(a):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert any(
        a.context.shape != b.context.shape or (a.context != b.context).any() for a, b in zip(first, other, strict=True)
    )


def test_small_pools_are_drawn_less_often_and_tiny_ones_never(drawn: list[Episode]) -> None:
    both = pools(scores())
    assert [pool.weight for pool in both] == [FIRST / FULL_WEIGHT, (QUERIES - FIRST) / FULL_WEIGHT]
    first = np.mean([(episode.targets < FIRST).all() for episode in drawn])
    assert first == pytest.approx(FIRST / QUERIES, abs=0.08)
    tiny = Pool("tiny", np.arange(FEWEST_QUERIES - 1), np.arange(3))
    large = Pool("large", np.arange(QUERIES), np.arange(3))
    found = episode_pools([tiny, large], np.ones((3, QUERIES), np.float32), np.zeros(QUERIES, np.int64))
    assert [len(pool.queries) for pool in found] == [QUERIES]


def test_a_pool_whose_models_have_too_few_evaluations_gives_episodes_of_invented_ones() -> None:
    for episode in sparse(evaluations=3):
        assert (episode.models == -1).all()


def test_every_model_has_a_target_to_be_judged_by_where_few_have_scores() -> None:
    found = sparse(evaluations=6)
    assert found
    for episode in found:
        assert not np.isnan(episode.target_y).all(axis=1).any()


def sparse(evaluations: int) -> list[Episode]:
    """Episodes over 60 queries, of which no two models answered the same."""
    values = np.full((60 // evaluations, 60), np.nan, np.float32)
    for row, mine in enumerate(np.arange(60).reshape(-1, evaluations)):
        values[row, mine] = 0.5
    found = episode_pools([Pool("p", np.arange(60), np.arange(len(values)))], values, np.zeros(60, np.int64))
    psi, mean = np.ones((60, 1), np.float32), np.full(60, 0.5, np.float32)
    episodes = Episodes(found, values, psi, mean, np.ones(1), np.random.default_rng(0))
    return [episode for episode in (episodes.draw() for _ in range(200)) if episode is not None]
