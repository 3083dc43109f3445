"""Domains of the training data by hand, and a classifier that separates two clouds of points."""

import numpy as np

from router.data.dataset import Queries
from router.train.domains import EPOCHS, MIN_QUERIES, find_domains, train_classifier


def queries(rows: list[tuple[str, str, str, int]]) -> Queries:
    """Queries of (benchmark, category, split, number of them)."""
    flat = [row[:3] for row in rows for _ in range(row[3])]
    benchmarks, categories, splits = (np.array(column) for column in zip(*flat, strict=True))
    return Queries(np.arange(len(flat)), benchmarks, categories, splits, tuple("x" for _ in flat))


def test_large_categories_are_domains_and_the_small_ones_are_one_more() -> None:
    data = queries(
        [
            ("exam", "law", "train", MIN_QUERIES),
            ("exam", "art", "train", MIN_QUERIES - 1),
            ("sums", "", "train", 5),
            ("exam", "law", "test", 1),
            ("exam", "law school", "test", 1),
            ("new", "", "test", 1),
        ]
    )
    domains = find_domains(data)
    assert domains.benchmarks == ("exam", "sums")
    assert domains.names == ("exam", "exam/law", "sums")
    assert domains.parent.tolist() == [0, 0, 1]
    assert domains.of_query[:1].tolist() == [1]
    assert domains.of_query[MIN_QUERIES : MIN_QUERIES + 1].tolist() == [0]
    assert domains.of_query[-3:].tolist() == [1, 0, -1]  # a benchmark without training queries has no domain


def test_the_classifier_separates_what_is_separable_and_repeats_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    x = (rng.normal(size=(400, 6)) + 3 * labels[:, None]).astype(np.float32)
    losses: list[float] = []
    a = train_classifier(x, labels, 2, 1, lambda _, loss: losses.append(loss))
    assert len(losses) == EPOCHS
    assert losses[-1] < 0.5 * losses[0]
    logits = np.maximum(x @ a.hidden + a.hidden_bias, 0) @ a.output + a.output_bias
    assert (logits.argmax(axis=1) == labels).mean() > 0.95
    again = train_classifier(x, labels, 2, 1, lambda _, __: None)
    np.testing.assert_array_equal(a.output, again.output)
