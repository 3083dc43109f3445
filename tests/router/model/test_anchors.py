"""Anchors: who is drawn, how they weigh, and the way into a checkpoint and out again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.dataset import Queries, load_queries
from router.encode.load import load_encoder
from router.errors import ArtifactError, DataError
from router.model.anchors import CARD_KEY, Anchors, choose_anchors, load_anchors
from router.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from router.model.features import ANCHORS_KEY


def queries(sizes: dict[str, int], seed: int = 0) -> tuple[Queries, NDArray[np.float32]]:
    """A number of train queries of each benchmark, and as many of val, shuffled; encodings are unit vectors in the plane."""
    names = np.array([name for name, size in sizes.items() for _ in range(2 * size)])
    splits = np.array([split for size in sizes.values() for split in ("train",) * size + ("val",) * size])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    angle = rng.uniform(0, 2 * np.pi, len(names))
    q = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return Queries(np.arange(len(names)), names[order], names[order], splits[order], ("?",) * len(names)), q


def counts(anchors: Anchors) -> dict[str, int]:
    names, numbers = np.unique(anchors.benchmarks, return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))


def checkpoint(weights: dict[str, Any], card: dict[str, Any]) -> Checkpoint:
    return Checkpoint("id", card, weights, Path("folder"))


def test_shares_follow_the_square_root_but_none_falls_short() -> None:
    data, q = queries({"large": 6400, "middle": 1600, "small": 40, "tiny": 5})
    # By hand: tiny gives all 5, small its floor of 16; the other 279 are split 2 : 1 by √6400 : √1600.
    assert counts(choose_anchors(data, q, 300, seed=0)) == {"large": 186, "middle": 93, "small": 16, "tiny": 5}


def test_too_few_for_the_floor_are_split_evenly_and_too_many_are_all_there_are() -> None:
    data, q = queries({"a": 50, "b": 400, "c": 3})
    assert counts(choose_anchors(data, q, 13, seed=0)) == {"a": 5, "b": 5, "c": 3}
    assert counts(choose_anchors(data, q, 9999, seed=0)) == {"a": 50, "b": 400, "c": 3}


def test_texts_for_non_commercial_use_are_no_anchors() -> None:
    data, q = queries({"crux": 60, "project_euler": 300, "alpaca_eval": 40})
    assert counts(choose_anchors(data, q, 300, seed=0)) == {"crux": 60}
    data, q = queries({"project_euler": 30})
    with pytest.raises(DataError, match="no query to take anchors from"):
        choose_anchors(data, q, 300, seed=0)


def test_anchors_are_train_queries_with_their_own_encodings_and_none_twice() -> None:
    data, q = queries({"a": 60, "b": 300})
    anchors = choose_anchors(data, q, 80, seed=4)
    row_of = {encoding.tobytes(): i for i, encoding in enumerate(q)}
    rows = [row_of[encoding.tobytes()] for encoding in anchors.q]
    assert len(set(rows)) == 80
    assert set(data.splits[rows]) == {"train"}
    np.testing.assert_array_equal(data.benchmarks[rows], anchors.benchmarks)
    assert (anchors.benchmarks == np.sort(anchors.benchmarks)).all()


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    data, q = queries({"a": 60, "b": 300})
    first, again, other = (choose_anchors(data, q, 80, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.q, again.q)
    assert (first.q != other.q).any()


def test_no_train_query_is_an_error() -> None:
    data, q = queries({"a": 4})
    none = replace(data, splits=np.full(8, "val"))
    with pytest.raises(DataError, match="split train has no query"):
        choose_anchors(none, q)


def test_weights_split_a_benchmarks_share_among_its_anchors() -> None:
    anchors = Anchors(np.eye(5, dtype=np.float32), np.array(["a", "b", "b", "b", "c"]))
    np.testing.assert_allclose(anchors.weights({"a": 1, "b": 3}), [0.25, 0.25, 0.25, 0.25, 0])
    assert anchors.of(["c", "a"]).benchmarks.tolist() == ["a", "c"]
    with pytest.raises(DataError, match=r"no anchor queries of benchmark d; there are a, b, c"):
        anchors.weights({"a": 1, "d": 1})
    with pytest.raises(DataError, match="no benchmark has a weight above 0"):
        anchors.weights({"a": 0})


def test_packed_into_a_checkpoint_on_disk_they_come_back(tmp_path: Path) -> None:
    data, q = queries({"a": 60, "b": 300})
    anchors = choose_anchors(data, q, 80)
    card = {"encoder": {"spec": "static", "hash": "h"}, "config": {}, CARD_KEY: anchors.counts()}
    save_checkpoint(tmp_path, {ANCHORS_KEY: anchors.q.astype(np.float16)}, card)  # type: ignore[dict-item]
    loaded = load_checkpoint(tmp_path)
    back = load_anchors(loaded)
    assert back.q.dtype == np.float32
    assert counts(anchors) == back.counts()
    np.testing.assert_array_equal(back.benchmarks, anchors.benchmarks)
    np.testing.assert_allclose(back.q, anchors.q, atol=1e-3)


def test_loading_leaves_the_checkpoint_as_it_was() -> None:
    q = np.full((2, 3), 2.0, np.float32)
    load_anchors(checkpoint({"anchors.q": q}, {CARD_KEY: {"a": 2}}))
    assert (q == 2.0).all()


@pytest.mark.parametrize(
    ("weights", "card", "message"),
    [
        ({}, {}, "folder: this checkpoint has no anchor queries"),
        ({"anchors.q": np.ones((2, 3))}, {}, "has no anchor queries"),
        ({}, {CARD_KEY: {"a": 2}}, "has no anchor queries"),
        ({"anchors.q": np.ones((2, 3))}, {CARD_KEY: {"a": 3}}, r"counts 3 anchors, the weights \(2, 3\)"),
        ({"anchors.q": np.ones((2, 3))}, {CARD_KEY: ["a", "a"]}, "expected benchmark: number"),
        ({"anchors.q": np.ones((2, 3))}, {CARD_KEY: {"a": "2"}}, "expected benchmark: number"),
        ({"anchors.q": np.ones((0, 3))}, {CARD_KEY: {}}, "counts 0 anchors"),
    ],
)
def test_a_checkpoint_without_usable_anchors_is_refused(
    weights: dict[str, Any], card: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        load_anchors(checkpoint(weights, card))


def test_anchors_of_the_public_data_stand_for_its_means(evaluations: Path) -> None:
    data = load_queries(evaluations)
    q = np.zeros((len(data.prompts), load_encoder().dim), np.float32)
    q[:, 0] = np.arange(len(q))  # marks the row; nothing here reads directions
    anchors = choose_anchors(data, q)
    assert len(anchors.q) == 1024
    assert set(counts(anchors)) == set(data.benchmarks.tolist()) - {"alpaca_eval"}
    assert min(counts(anchors).values()) >= 16
