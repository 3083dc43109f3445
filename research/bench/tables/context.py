"""What the claim tables are measured with: the data, the rows of the main table, and our router of seed 0."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.evidence import Evidence
from research.bench.ours import Routed
from research.bench.runs import Runs
from research.bench.tables.kept import Kept
from research.bench.tuning import Tuned
from router.data.dataset import Dataset
from router.data.pools import Pool, pools
from router.explore.model_prices import TokenPrice, read_prices
from router.model.locus import Embedding, Locus
from router.model.space import ModelSpace
from router.train.evaluate import embed_all, predict_all


@dataclass(frozen=True)
class Context:
    """Shared by all tables; what is dear is made once, on first use.

    Attributes:
        data: every score there is: of `test`, and of models marked onboarding too.
        q: query encodings as our router takes them, (Q, d_q).
        text_dim: the first so many columns are the unit-norm text encodings, which the other rows take.
        rows: the main table's rows by name, ours among them.
        ours: our row, which keeps its routers.
        folder: where predictions of fits are kept.
        prices: model -> price; empty without a price list.
        families: model -> family; empty where the data name none.
        encode: texts -> query encodings; None leaves out how long it takes.
        say: called with what was just done.
    """

    data: Dataset
    q: NDArray[np.float32]
    text_dim: int
    rows: Mapping[str, Tuned]
    ours: Kept
    folder: Path
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[[Sequence[str]], NDArray[np.float32]] | None = None
    say: Callable[[str], None] = lambda _: None

    @cached_property
    def evidence(self) -> Evidence:
        """As the other rows see the data: text encodings, neither models marked onboarding nor scores of `test`."""
        return Evidence.of(self.data, self.text)

    @cached_property
    def text(self) -> NDArray[np.float32]:
        """The text encodings alone, (Q, text_dim)."""
        return np.ascontiguousarray(self.q[:, : self.text_dim])

    def runs(self, per_model: int | None = None, seed: int = 0, *, ours: bool = False) -> Runs:
        """Kept fits on the train scores, or on at most so many of each model."""
        return Runs(self.folder, Evidence.of(self.data, self.q if ours else self.text, per_model, seed))

    @cached_property
    def fitted(self) -> Routed:
        """Our router, trained with seed 0."""
        return self.fit(self.evidence.seen)

    def fit(self, seen: Dataset) -> Routed:
        """Our router, trained with seed 0 on other scores."""
        return self.ours.fit(seen, self.q, self.ours.grid[0], 0)

    @cached_property
    def space(self) -> ModelSpace:
        """Every model, embedded from all its train evaluations; those marked onboarding by a router that never saw them."""
        return embed_all(
            self.fitted.locus,
            self.data,
            self.q,
            "train",
            per_model=None,
            seed=0,
            checkpoint=self.fitted.space.checkpoint,
        )

    @cached_property
    def p_test(self) -> NDArray[np.float32]:
        """P(correct) on `test`, (M, Q), of every model; NaN elsewhere."""
        return predict_all(self.fitted.locus, self.data, self.q, self.space, "test")

    @cached_property
    def p_train(self) -> NDArray[np.float32]:
        """P(correct) on `train`, (M, Q), of every model; NaN elsewhere."""
        return predict_all(self.fitted.locus, self.data, self.q, self.space, "train")

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Models that are not marked onboarding and have train scores, (M,)."""
        train = self.data.scores[:, self.data.where("train")]
        return np.asarray(~self.data.onboarding & ~np.isnan(train).all(axis=1))

    @cached_property
    def z(self) -> NDArray[np.float32]:
        """Embeddings in the data's order, (M, d); NaN for a model without train evaluations."""
        z = np.full((len(self.data.models), self.space.z.shape[1]), np.nan, np.float32)
        present = [m for m, name in enumerate(self.data.models) if name in set(self.space.models)]
        z[present] = self.space.z[self.space.rows([self.data.models[m] for m in present])]
        return z

    def pools(self, split: str, onboarding: bool = False) -> list[Pool]:
        """The routing problems of a split, without the models marked onboarding, or with them."""
        return list(pools(self.data, split, None if onboarding else self.data.onboarding))

    def answered(self, model: int, split: str = "train") -> NDArray[np.int64]:
        """The queries of a split that a model has a score for."""
        return np.flatnonzero(~np.isnan(self.data.scores[model]) & (self.data.splits == split))

    def embed(self, model: int, queries: NDArray[np.int64], locus: Locus | None = None) -> Embedding:
        """A model's embedding from its scores on these queries."""
        return (locus or self.fitted.locus).embed(self.q[queries], self.data.scores[model, queries])


def prices_of(folder: Path) -> Mapping[str, TokenPrice]:
    """The price list of a folder of data, prices.csv; empty where it has none.

    Raises:
        DataError: it cannot be read; see `router.candidates.read_prices`.
    """
    file = folder / "prices.csv"
    return read_prices(file) if file.exists() else {}


def families_of(folder: Path) -> dict[str, str]:
    """Model -> family, by the column `family` of models.parquet; without models whose family is null or empty.

    Data that `load_dataset` has read are taken to be readable.
    """
    import pyarrow.parquet as pq

    file = folder / "models.parquet"
    if "family" not in pq.read_schema(file).names:
        return {}
    table = pq.read_table(file, columns=["model", "family"])
    return {
        model: str(family)
        for model, family in zip(table["model"].to_pylist(), table["family"].to_pylist(), strict=True)
        if family
    }
