"""The context of the claim tables: the data, the rows of the main table, and our router with seed 0."""

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
from router.model.embedding import Embedding
from router.model.locus import Locus
from router.model.space import ModelSpace
from router.parallel import LOCAL
from router.train.evaluate import embed_all, predict_all


@dataclass(frozen=True)
class Context:
    """Shared by all tables. Expensive parts are computed once, at their first use.

    Attributes:
        data: all scores, those of `test` and of models marked onboarding included.
        q: complete query encodings, (Q, d_q), for our router.
        text_dim: number of text columns, the first ones of `q`, unit-norm; the other rows use only these.
        rows: the main table's rows by name, ours among them.
        ours: our row, which keeps its routers.
        folder: where predictions of fits are kept.
        prices: model -> price; empty without a price list.
        families: model -> family; empty if the data has none.
        encode: texts -> query encodings; None: its time is not measured.
        engine: what computes several fits side by side; see `router.parallel`.
        say: called with a note after each step.
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
    engine: str = LOCAL
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
        """Kept fits on all train scores, or on at most `per_model` of each model."""
        evidence = Evidence.of(self.data, self.q if ours else self.text, per_model, seed)
        return Runs(self.folder, evidence, self.engine)

    @cached_property
    def fitted(self) -> Routed:
        """Our router, trained with seed 0."""
        return self.fit(self.evidence.seen)

    def fit(self, seen: Dataset) -> Routed:
        """Our router, trained with seed 0 on other scores."""
        return self.ours.fit(seen, self.q, self.ours.grid[0], 0)

    @cached_property
    def space(self) -> ModelSpace:
        """Embeddings of all models from all their train evaluations. Training did not see those marked onboarding."""
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
        """The queries of a split for which a model has a score, indices."""
        return np.flatnonzero(~np.isnan(self.data.scores[model]) & (self.data.splits == split))

    def embed(self, model: int, queries: NDArray[np.int64], locus: Locus | None = None) -> Embedding:
        """A model's embedding from its scores on these queries."""
        return (locus or self.fitted.locus).embed(
            self.q[queries], self.data.scores[model, queries], self.data.models[model]
        )


def prices_of(folders: Sequence[Path]) -> Mapping[str, TokenPrice]:
    """The price lists of data folders, prices.csv, of which the last one counts for a model in several; empty if none has one.

    Raises:
        DataError: a file cannot be read; see `router.explore.model_prices.read_prices`.
    """
    files = [folder / "prices.csv" for folder in folders]
    return {model: price for file in files if file.exists() for model, price in read_prices(file).items()}


def families_of(folders: Sequence[Path]) -> dict[str, str]:
    """Model -> family, by the column `family` of models.parquet; without models whose family is null or empty.

    The caller has read the same folders with `load_datasets`, so each models.parquet is readable.
    """
    import pyarrow.parquet as pq

    found: dict[str, str] = {}
    for folder in folders:
        file = folder / "models.parquet"
        if "family" in pq.read_schema(file).names:
            table = pq.read_table(file, columns=["model", "family"])
            rows = zip(table["model"].to_pylist(), table["family"].to_pylist(), strict=True)
            found |= {model: str(family) for model, family in rows if family}
    return found
