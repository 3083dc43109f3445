"""Gives each imported query its id and its split. Queries that are in the folder already keep theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.importing.collect import Query
from router.data.importing.existing import ExistingData, Target
from router.data.importing.prompt import assign_split, normalise_prompt, split_key, strictest_split
from router.errors import DataError

LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class PlacedQueries:
    """Of each collected query the id, the split, and whether the folder has it already; Q of each."""

    ids: NDArray[np.int64]
    splits: tuple[str, ...]
    known: NDArray[np.bool_]


def place_queries(queries: Sequence[Query], old: ExistingData | None, target: Target) -> PlacedQueries:
    """Chooses ids and splits.

    Raises:
        DataError: a stated query_id belongs to another prompt of the folder or is out of range, or no ids are left.
    """
    known = _KnownQueries(old)
    positions = [known.find(query) for query in queries]
    keys = [split_key(query.prompt) for query in queries]
    stated: dict[str, list[str]] = {}
    for query, text in zip(queries, keys, strict=True):
        if query.split is not None:
            stated.setdefault(text, []).append(query.split)

    def split(text: str) -> str:
        # A spelling of an old question keeps its split too; otherwise a test question could get into training.
        if text in known.splits:
            return known.splits[text]
        return strictest_split(stated[text]) if text in stated else assign_split(text, target.seed)

    is_known = np.array([position is not None for position in positions], np.bool_)
    splits = [split(text) if i is None else known.split_at(i) for i, text in zip(positions, keys, strict=True)]
    return PlacedQueries(_ids(queries, positions, old, target), tuple(splits), is_known)


class _KnownQueries:
    """The queries of the folder by prompt; several benchmarks may have one prompt.

    Attributes:
        splits: split by split key.
    """

    def __init__(self, old: ExistingData | None) -> None:
        self._by_text: dict[str, list[int]] = {}
        self._benchmarks: list[str] = old.dataset.benchmarks.tolist() if old else []
        self._splits: list[str] = old.dataset.splits.tolist() if old else []
        self.splits: dict[str, str] = {}
        for i, prompt in enumerate(old.dataset.prompts if old else ()):
            self._by_text.setdefault(normalise_prompt(prompt), []).append(i)
            key, split = split_key(prompt), self._splits[i]
            self.splits[key] = strictest_split([split, self.splits.get(key, split)])

    def find(self, query: Query) -> int | None:
        """The position of the old query with this prompt, of the same benchmark if there is one, or None."""
        same = self._by_text.get(query.prompt, [])
        return next((i for i in same if self._benchmarks[i] == query.benchmark), same[0] if same else None)

    def split_at(self, position: int) -> str:
        return self._splits[position]


def _ids(
    queries: Sequence[Query], positions: Sequence[int | None], old: ExistingData | None, target: Target
) -> NDArray[np.int64]:
    """The ids of all queries: old queries keep theirs; a new one gets the stated id, or the next after all others."""
    taken = old.dataset.query_ids.tolist() if old else []
    used = set(taken)
    stated = [
        query.query_id for query, i in zip(queries, positions, strict=True) if i is None and query.query_id is not None
    ]
    for number in stated:
        if number in used:
            raise DataError(f"{target.folder}: query_id {number} is that of another prompt there")
        if not 0 <= number <= LARGEST_ID:
            raise DataError(f"query_id {number}: expected a number from 0 to {LARGEST_ID}")
    following = max([*taken, *stated, -1]) + 1
    ids = []
    for query, i in zip(queries, positions, strict=True):
        if i is not None:
            ids.append(taken[i])
        elif query.query_id is not None:
            ids.append(query.query_id)
        else:
            ids.append(following)
            following += 1
    if following - 1 > LARGEST_ID:
        raise DataError(f"{target.folder}: no query ids are left above {max([*taken, *stated])}")
    return np.array(ids, np.int64)
