"""The ways to predict a model that joins after training, a newcomer, from a few of its evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from research.bench.rows import OURS, methods
from router.data.dataset import Dataset
from router.data.pools import Pool
from router.model.embedding import Embeddings
from router.model.space import ModelSpace
from router.train.evaluate import predict_all

if TYPE_CHECKING:
    from torch import Tensor

    from research.bench.ours import Routed
    from research.bench.rows.embedllm import Factorisation, OfNet
    from research.bench.tables.context import Context


AGREEMENT, OWN, REFIT = "nearest known model by agreement", "kNN on its own evaluations", "EmbedLLM's vector refitted"


DOUBT = 2.0  # pseudo-evaluations with chance agreement, so that few common queries do not count as similar behaviour


STRENGTHS = (0.3, 3.0, 30.0, 300.0)  # of the regularisation towards the mean vector


SHARES = (0.05, 0.125, 0.25, 0.5, 1.0)  # k of the nearest neighbours, as a share of the newcomer's evaluations


STEPS, RATE = 150, 0.05


Rows = Sequence[NDArray[np.int64]]  # the evaluated queries of each newcomer


@dataclass(frozen=True)
class Case:
    """Newcomers, and a router that was trained without them.

    Attributes:
        seen: what the router was trained on.
        newcomers: indices of models, (k,).
        pools: test pools with newcomers and known models.
    """

    context: "Context"
    fitted: "Routed"
    seen: Dataset
    newcomers: NDArray[np.int64]
    pools: Sequence[Pool]

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Models that the router was trained on."""
        train = self.seen.scores[:, self.seen.where("train")]
        return np.flatnonzero(~np.isnan(train).all(axis=1))

    @cached_property
    def p_known(self) -> NDArray[np.float32]:
        """Our predictions for the known models on `test`, (M, Q)."""
        return predict_all(self.fitted.locus, self.seen, self.context.q, self.fitted.space, "test")


class Way(Protocol):
    """A way to predict newcomers.

    Attributes:
        name: in tables.
        settings: values of its one parameter, chosen on `val`.
    """

    name: str
    settings: tuple[float, ...]

    def known(self) -> NDArray[np.float32]:
        """P(correct) of the known models on `test`, (M, Q)."""
        ...

    def newcomers(
        self, models: NDArray[np.int64], rows: Rows, queries: NDArray[np.int64], setting: float
    ) -> NDArray[np.float32]:
        """P(correct) of models from these evaluations alone, (k, n)."""
        ...


class Embedded:
    """Ours: one pass over the evaluations."""

    name = OURS
    settings: tuple[float, ...] = (0.0,)

    def __init__(self, case: Case) -> None:
        self._case = case

    def known(self) -> NDArray[np.float32]:
        return self._case.p_known

    def newcomers(
        self, models: NDArray[np.int64], rows: Rows, queries: NDArray[np.int64], setting: float
    ) -> NDArray[np.float32]:
        context, locus = self._case.context, self._case.fitted.locus
        embeddings = [context.embed(m, of_model, locus) for m, of_model in zip(models.tolist(), rows, strict=True)]
        space = ModelSpace([context.data.models[m] for m in models], Embeddings.of(embeddings), "")
        (split,) = set(context.data.splits[queries].tolist())
        return predict_all(locus, context.data, context.q, space, split)[np.ix_(models, queries)]


class Agreeing:
    """The predictions of the known model that agrees most with the newcomer where both answered."""

    name = AGREEMENT
    settings: tuple[float, ...] = (0.0,)

    def __init__(self, case: Case) -> None:
        self._case = case

    def known(self) -> NDArray[np.float32]:
        return self._case.p_known

    def newcomers(
        self, models: NDArray[np.int64], rows: Rows, queries: NDArray[np.int64], setting: float
    ) -> NDArray[np.float32]:
        known, scores = self._case.known, self._case.context.data.scores
        p = [self._case.p_known[known[agreement(scores[m, r], scores[known[:, None], r]).argmax()], queries]
             for m, r in zip(models.tolist(), rows, strict=True)]  # fmt: skip
        return np.stack(p)


class OwnNeighbours:
    """Mean score on the nearest of the newcomer's own evaluations; tuned by how many, as a share of them."""

    name = OWN
    settings: tuple[float, ...] = SHARES

    def __init__(self, case: Case) -> None:
        self._case = case

    def known(self) -> NDArray[np.float32]:
        return self._case.context.rows["kNN"].routing_runs[0].p

    def newcomers(
        self, models: NDArray[np.int64], rows: Rows, queries: NDArray[np.int64], setting: float
    ) -> NDArray[np.float32]:
        q, scores = self._case.context.text, self._case.context.data.scores
        p = np.empty((len(models), len(queries)), np.float32)
        for i, (m, of_model) in enumerate(zip(models.tolist(), rows, strict=True)):
            k = max(1, round(setting * len(of_model)))
            nearest = np.argpartition(-(q[queries] @ q[of_model].T), k - 1, axis=1)[:, :k]
            p[i] = scores[m, of_model][nearest].mean(axis=1)
        return p


class Refitted:
    """EmbedLLM trained on the known models; a newcomer's vector by gradient, all else held fixed.

    Tuned by the strength of the regularisation towards the mean of the known models' vectors.
    """

    name = REFIT
    settings: tuple[float, ...] = STRENGTHS

    def __init__(self, case: Case) -> None:
        (method,) = methods(["EmbedLLM"])
        row = case.context.rows["EmbedLLM"]
        setting = row.trials[row.for_prediction].setting
        self._case = case
        self._fitted = cast("OfNet", method.fit(case.seen, case.context.text, setting, 0))

    def known(self) -> NDArray[np.float32]:
        data = self._case.context.data
        p, test = np.full(data.scores.shape, np.nan, np.float32), data.where("test")
        p[:, test] = self._fitted.predict(test)
        return p

    def newcomers(
        self, models: NDArray[np.int64], rows: Rows, queries: NDArray[np.int64], setting: float
    ) -> NDArray[np.float32]:
        import torch

        from research.bench.rows.paper_locus import Sets

        net = cast("Factorisation", self._fitted.net)
        with torch.no_grad():
            sets = Sets.of(self._case.context.data, self._case.context.text, list(rows), models)
            x = net.project(sets.q) * net.classifier.weight
            asked = net.project(torch.from_numpy(self._case.context.text[queries])) * net.classifier.weight
            centre, offset = net.models.weight[torch.from_numpy(self._case.known)].mean(dim=0), net.classifier.bias
        vectors = refit(x, sets.y, sets.mask, centre, offset.detach(), setting)
        p: NDArray[np.float32] = torch.sigmoid(vectors @ asked.T + offset.detach()).numpy()
        return p


def agreement(y: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """1 - mean |difference| on common queries, shrunk towards chance by `DOUBT` pseudo-evaluations.

    Args:
        y: the newcomer's scores, (n,).
        others: of known models, (K, n), NaN if one did not answer.

    Returns:
        (K,).
    """
    alike = 1 - np.abs(others.astype(np.float64) - y)
    count = (~np.isnan(alike)).sum(axis=1)
    return np.asarray((np.nansum(alike, axis=1) + 0.5 * DOUBT) / (count + DOUBT))


def refit(x: "Tensor", y: "Tensor", mask: "Tensor", centre: "Tensor", offset: "Tensor", strength: float) -> "Tensor":
    """Vectors v of B models that minimise Σ cross-entropy(σ(x·v + offset), y) + strength/2 |v - centre|² d / |centre|².

    Args:
        x: (B, n, d).
        y, mask: (B, n).
        centre: (d,), where the descent starts.

    Returns:
        (B, d).
    """
    import torch
    from torch.nn import functional as F

    unit = centre.square().mean().clamp(min=1e-6)  # the scale of a vector's components is the net's own
    vectors = centre.repeat(len(x), 1).requires_grad_()
    optimizer = torch.optim.Adam([vectors], lr=RATE * float(unit.sqrt()))
    for _ in range(STEPS):
        logits = torch.einsum("bnd,bd->bn", x, vectors) + offset
        loss = F.binary_cross_entropy_with_logits(logits, y, weight=mask.to(y.dtype), reduction="sum")
        loss = loss + 0.5 * strength * (vectors - centre).square().mean(dim=1).sum() / unit
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return vectors.detach()
