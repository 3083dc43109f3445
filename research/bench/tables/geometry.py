"""Claim 4: models that are near in the space answer alike (Fig. 6): embedding distance against disagreement on `test`."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.cells import grid, number, picture
from router.data.pools import group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 3
COSINE, EUCLIDEAN = "cosine", "Euclidean"
PREDICTED, RAW = "predictions on the pool", "disagreement on train"
FEWEST = 20  # least number of common queries of a pair; all queries of a smaller pool
HIGH = 0.75  # Pearson correlation that the title counts
PAIRS = 10  # least number of pairs for a correlation
ONLY_KNOWN, WITH_NEW = "known", "with onboarding"


def measure(context: "Context") -> dict[str, Any]:
    """Correlations per pool, over known models and with those marked onboarding too."""
    found = []
    for models, onboarding in ((ONLY_KNOWN, False), (WITH_NEW, True)):
        for pool in context.pools("test", onboarding):
            members = pool.models[~np.isnan(context.z[pool.models, 0])]
            if len(members) < 2:
                continue
            measured = _pool(context, members, pool.queries)
            if models != WITH_NEW or group(pool.name) is None:
                del measured["of_pairs"]  # not drawn
            found.append({"pool": pool.name, "models": models, **measured})
    return {"pools": found}


def disagreement(scores: NDArray[np.float32], fewest: int = FEWEST) -> NDArray[np.float64]:
    """Mean |difference| of two models' scores over the queries that both answered, (M, n) -> (M, M).

    NaN if they have fewer than `fewest` in common.
    """
    known = ~np.isnan(scores)
    y = np.nan_to_num(scores).astype(np.float64)
    out = np.full((len(y), len(y)), np.nan)
    for a in range(len(y)):
        common = known & known[a]
        count = common.sum(axis=1)
        gap = (np.abs(y - y[a]) * common).sum(axis=1)
        out[a] = np.where(count >= max(1, fewest), gap / np.maximum(count, 1), np.nan)
    return out


def distances(z: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Cosine and Euclidean distances between embeddings, (M, d) -> (M, M) each."""
    from router.explore.clusters import pairwise_distances

    wide = z.astype(np.float64)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    return {COSINE: 1 - unit @ unit.T, EUCLIDEAN: pairwise_distances(z)}


def correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float | None]:
    """Pearson, Spearman and Kendall's tau-b, of (n,) each; None if one side is constant."""
    from scipy.stats import kendalltau, pearsonr, spearmanr

    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return dict.fromkeys(("pearson", "spearman", "kendall"))
    return {
        "pearson": float(pearsonr(x, y).statistic),
        "spearman": float(spearmanr(x, y).statistic),
        "kendall": float(kendalltau(x, y).statistic),
    }


def section(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["pools"]:
        if entry["pairs"] < PAIRS or group(entry["pool"]) is None:
            continue
        for distance in (EUCLIDEAN, COSINE, PREDICTED, RAW):
            r = entry["correlations"][distance]
            lines.append(
                [
                    f"{entry['pool']}, {entry['models']}",
                    str(entry["pairs"]),
                    distance,
                    *(number(r[name], 3) for name in ("pearson", "spearman", "kendall")),
                ]
            )
    left_out = sorted({e["pool"] for e in result["pools"] if e["pairs"] < PAIRS or group(e["pool"]) is None})
    text = [
        "## 4. Geometry",
        "Distance between the embeddings of two models of a pool (from their train evaluations) against the rate at which they "
        "disagree on its test queries, over pairs with at least "
        f"{FEWEST} common queries. Beside the distances of the space: `{PREDICTED}`, the root mean square difference of the two "
        f"models' predicted correctness over the pool's train queries; and `{RAW}`, what knowing their answers to all common train "
        "queries would give. The paper states a Pearson correlation of 0.887.",
        grid(["pool, models", "pairs", "distance", "Pearson", "Spearman", "Kendall"], lines),
    ]
    if left_out:
        text.append(f"Not shown, with fewer than {PAIRS} pairs or in no average: {', '.join(left_out)}.")
    return "\n\n".join([*text, picture("geometry", "Embedding distance against disagreement on test")])


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Words, points

    panels, found = {}, []
    for entry in result["pools"]:
        if entry["models"] == WITH_NEW and entry["pairs"] >= PAIRS and group(entry["pool"]) is not None:
            r = entry["correlations"][EUCLIDEAN]["pearson"]
            found.append(r)
            of_pairs = entry["of_pairs"]
            panels[f"{entry['pool']}: r = {number(r, 3) or 'none'}"] = (
                np.array(of_pairs[EUCLIDEAN]),
                np.array(of_pairs["disagreement"]),
            )
    near = sum(r is not None and r >= HIGH for r in found)
    title = f"Near models answer alike (Pearson's r at least {HIGH}) in {near} of {len(found)} pools"
    words = Words(title, "Euclidean distance", "disagreement on test, share of queries")
    return points(panels, words) if panels else None


def _pool(context: "Context", members: NDArray[np.int64], queries: NDArray[np.int64]) -> dict[str, Any]:
    data = context.data
    fewest = min(FEWEST, len(queries))
    observed = disagreement(data.scores[np.ix_(members, queries)], fewest)
    of_pool = np.isin(data.benchmarks, np.unique(data.benchmarks[queries])) & (data.splits == "train")
    p = context.p_train[np.ix_(members, np.flatnonzero(of_pool))].astype(np.float64)
    found = {
        **distances(context.z[members]),
        PREDICTED: np.sqrt(((p[:, None] - p) ** 2).mean(axis=2)),
        RAW: disagreement(data.scores[np.ix_(members, np.flatnonzero(of_pool))], 1),
    }
    pairs = np.triu(~np.isnan(observed) & ~np.isnan(found[RAW]), 1)
    return {
        "pairs": int(pairs.sum()),
        "correlations": {name: correlations(d[pairs], observed[pairs]) for name, d in found.items()},
        "of_pairs": {
            "disagreement": observed[pairs].round(4).tolist(),
            EUCLIDEAN: found[EUCLIDEAN][pairs].round(4).tolist(),
        },
    }
