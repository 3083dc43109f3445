"""Predictions for queries that arrive in the same turn of the event loop."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.routing.prediction_queue import MOST_CELLS, MOST_QUERIES, PredictionQueue
from router.model.model_table import ModelTable, TableScores
from router.model.serving import Router

pytestmark = pytest.mark.anyio


class Counted(ModelTable):
    """A table that counts how many queries it gets at once."""

    def __init__(self, router: Router, models: int = 8) -> None:
        names = [*router.space.models[: models - 1], None]
        super().__init__(router, names, [None] * models)
        self.batches: list[int] = []

    def predict_all(self, q: NDArray[np.float32]) -> list[TableScores]:
        self.batches.append(len(q))
        return super().predict_all(q)


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


def encodings(router: Router, number: int) -> list[NDArray[np.float32]]:
    return [router.encoder.encode([f"What is {i} + {i * i}?" + " Why?" * (i % 3)]) for i in range(number)]


async def test_queries_of_one_turn_are_predicted_together_and_as_alone(router: Router) -> None:
    table, other, queue = Counted(router), Counted(router, 3), PredictionQueue()
    queries = encodings(router, MOST_QUERIES + 3)
    together = asyncio.gather(*(queue.predict(table, q) for q in queries), queue.predict(other, queries[0]))
    *found, of_other = await together
    assert table.batches == [MOST_QUERIES, 3]
    assert len(of_other.p_correct) == 3
    for q, scores in zip(queries, found, strict=True):
        alone = table.predict(q)
        assert np.isnan(scores.p_correct).tolist() == [False] * 7 + [True]  # the last one has no embedding
        np.testing.assert_allclose(scores.p_correct, alone.p_correct, atol=1e-5)
        np.testing.assert_allclose(scores.standard_error, alone.standard_error, atol=1e-5)
        assert scores.familiarity == pytest.approx(alone.familiarity, abs=1e-5)


async def test_many_models_are_predicted_for_few_queries_at_once(router: Router) -> None:
    table, queue = Counted(router), PredictionQueue()
    table.size = MOST_CELLS // 2
    await asyncio.gather(*(queue.predict(table, q) for q in encodings(router, 3)))
    assert table.batches == [2, 1]
    assert (await queue.predict(table, None)).familiarity is None


async def test_a_request_that_is_cancelled_or_fails_leaves_the_others(router: Router) -> None:
    table, queue = Counted(router), PredictionQueue()
    queries = encodings(router, 3)
    tasks = [asyncio.create_task(queue.predict(table, q)) for q in queries]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert table.batches == [2]
    assert [task.cancelled() for task in tasks] == [False, True, False]
    with pytest.raises(ValueError, match="shape"):
        await queue.predict(table, np.ones((1, 3), np.float32))
    assert (await queue.predict(table, queries[0])).familiarity is not None
