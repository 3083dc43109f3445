"""Ids and splits of imported queries, without files."""

from pathlib import Path

import numpy as np
import pytest

from router.data.dataset import Dataset
from router.data.importing.collect import Query
from router.data.importing.existing import ExistingData, Target
from router.data.importing.placement import LARGEST_ID, place_queries
from router.data.importing.prompt import assign_split, split_key
from router.errors import DataError

FOLDER = Path("data")


def query(prompt: str, split: str | None = None, query_id: int | None = None, benchmark: str = "b") -> Query:
    return Query(prompt, benchmark, "", split, query_id)


def existing(*prompts: str, splits: tuple[str, ...], benchmarks: tuple[str, ...] = ()) -> ExistingData:
    number = len(prompts)
    dataset = Dataset(
        np.arange(5, 5 + number),
        np.array(benchmarks or ["b"] * number),
        np.full(number, ""),
        np.array(splits),
        prompts,
        ("m",),
        np.zeros(1, np.bool_),
        np.ones((1, number), np.float32),
        "hash",
    )
    return ExistingData(dataset, {})


def test_new_queries_get_stated_ids_and_splits_or_the_next_ones() -> None:
    placed = place_queries([query("A", "val", 7), query("B"), query("C")], None, Target(FOLDER))
    assert placed.ids.tolist() == [7, 8, 9]
    assert placed.splits == ("val", assign_split(split_key("B")), assign_split(split_key("C")))
    assert placed.known.tolist() == [False] * 3


def test_old_queries_keep_their_ids_and_splits() -> None:
    old = existing("Old?", "Other?", splits=("test", "val"))
    placed = place_queries([query("New?"), query("Other?", "train"), query("OLD?")], old, Target(FOLDER, append=True))
    assert placed.ids.tolist() == [7, 6, 8]
    assert placed.splits[1:] == ("val", "test")  # the last is a spelling of an old test question
    assert placed.known.tolist() == [False, True, False]


def test_of_equal_prompts_the_one_of_the_same_benchmark_is_the_old_query() -> None:
    old = existing("Same?", "Same?", splits=("train", "train"), benchmarks=("one", "two"))
    asked = [query("Same?", benchmark=name) for name in ("two", "one", "three")]
    assert place_queries(asked, old, Target(FOLDER, append=True)).ids.tolist() == [6, 5, 5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (query("New?", query_id=5), "query_id 5 is that of another prompt"),
        (query("New?", query_id=LARGEST_ID + 1), "expected a number from 0 to"),
    ],
)
def test_an_id_that_cannot_be_given_is_refused(given: Query, message: str) -> None:
    with pytest.raises(DataError, match=message):
        place_queries([given], existing("Old?", splits=("train",)), Target(FOLDER, append=True))


def test_no_id_is_given_above_the_largest() -> None:
    with pytest.raises(DataError, match="no query ids are left"):
        place_queries([query("A", query_id=LARGEST_ID), query("B")], None, Target(FOLDER))
