"""Claim 7: the space groups relatives, betrays copies, and can be searched by a profile (Fig. 9, Sec. 5).

Clusters against the families that the data name, halves of one model's evaluations against those of others, and profiles of
real models, made of their `test` accuracies, searched among embeddings from `train`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.cells import grid, number, percent, picture
from research.bench.tables.repeats import DRAWS, mean, number_between, percent_between, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 5
HALVES = (None, 256, 64)  # evaluations in each of two disjoint samples; None: half of all that the model has
PLANTED, PLANTINGS = 10, 20  # copies among the models of a space, and how often they are planted anew
KS = (1, 3, 5, 10)
LEAVES = 80  # models in the picture, those with most train evaluations
FEWEST = 30  # test queries of a benchmark for its accuracy to go into a profile
WHOLE, WITHIN = "all models", "models of one pool"


def measure(context: "Context") -> dict[str, Any]:
    """The three parts; the dendrogram is drawn from `tree` and `labels`."""
    models = [m for m in range(len(context.data.models)) if len(context.answered(m))]
    return {
        "clusters": _clusters(context, models),
        "duplicates": [entry for n in HALVES if (entry := _duplicates(context, models, n))],
        "profiles": _profiles(context, models),
    }


def family_scores(
    families: Sequence[str], labels: NDArray[np.int64], distances: NDArray[np.float64]
) -> dict[str, float]:
    """Agreement of clusters and neighbours with families.

    Returns:
        `ari` and `ami`: adjusted Rand index and adjusted mutual information of clusters and families; `neighbour`: share of models
        with a relative whose nearest neighbour is one; `chance`: the same for a neighbour drawn at random.
    """
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    names = np.array(families)
    kin = names[:, None] == names
    np.fill_diagonal(kin, False)
    with_kin = kin.any(axis=1)
    apart = distances + np.diag(np.full(len(names), np.inf))
    nearest = kin[np.arange(len(names)), apart.argmin(axis=1)]
    some = bool(with_kin.any())
    return {
        "ari": float(adjusted_rand_score(names, labels)),
        "ami": float(adjusted_mutual_info_score(names, labels)),
        "neighbour": float(nearest[with_kin].mean()) if some else 0.0,
        "chance": float(kin[with_kin].sum(axis=1).mean() / (len(names) - 1)) if some else 0.0,
    }


def auc(same: NDArray[np.float64], different: NDArray[np.float64]) -> float:
    """Probability that a distance within a model is smaller than one between models; equal ones count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([same, different]))[: len(same)]
    below = ranks.sum() - len(same) * (len(same) + 1) / 2
    return float(1 - below / (len(same) * len(different)))


def section(result: dict[str, Any]) -> str:
    text = [
        "## 7. Clusters, copies and profiles",
        *_family_text(result["clusters"]),
        *_copies_text(result["duplicates"]),
    ]
    text += _profile_text(result["profiles"])
    return "\n\n".join(text)


def _family_text(found: Mapping[str, Any]) -> list[str]:
    """Clusters against families; empty if the data name none."""
    if not found["families"]:
        return []
    return [
        "Average-linkage clusters of the embeddings, as many as there are families, against the families that the data name "
        f"({found['families']} families of {found['models']} models). Neighbour: share of the models with a relative whose "
        "nearest neighbour is one. Models of different pools were asked different questions; each pool by "
        "itself is the fairer view.",
        grid(
            ["models", "number", "adjusted Rand", "adjusted mutual information", "neighbour, %", "by chance, %"],
            [
                [
                    e["models_of"],
                    str(e["models"]),
                    number(e["ari"]),
                    number(e["ami"]),
                    percent(e["neighbour"]),
                    percent(e["chance"]),
                ]
                for e in found["agreement"]
            ],
        ),
        picture("clustering", f"Dendrogram of the {LEAVES} models with most evaluations"),
    ]


def _copies_text(duplicates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Recognition of copies of a model."""
    return [
        "Copies: each model's train evaluations are split into two disjoint samples, as if two names hid one model. AUC: how "
        "often two samples of one model are nearer than samples of two models; within pools, of two models of one pool. Found: "
        f"copies of {PLANTED} models are put beside one sample of every model, {PLANTINGS} times anew; how many of them "
        "`locus duplicates` lists at its default, and how many other pairs. Shown is the mean of "
        f"{DRAWS} divisions into samples, ± their standard deviation.",
        grid(
            ["evaluations in each sample", "models", "AUC", "AUC within pools", "found, %", "other pairs"],
            [
                [
                    str(e["evaluations"] or "half of all"),
                    str(e["models"]),
                    *(number_between(e["mean"].get(key), e["spread"].get(key), 4) for key in ("auc", "auc_within")),
                    percent_between(e["mean"].get("found"), e["spread"].get("found")),
                    number(e["mean"].get("others"), 1),
                ]
                for e in duplicates
            ],
        ),
    ]


def _profile_text(profiles: Mapping[str, Any] | None) -> list[str]:
    """Search by accuracies; empty if no model has enough queries."""
    if not profiles:
        return []
    return [
        f"Profiles: the accuracies of each of {profiles['models']} models on its benchmarks (on `test`, at least {FEWEST} "
        "queries) are looked up. Recall at k: how often the model itself is among the k nearest. Embedding: the accuracies are "
        "made into the evaluations of a hypothetical model, and the nearest embeddings count (`locus find --by distance`). "
        "Predicted accuracies: those that the space expects on the same benchmarks (`locus find`). For comparison: nearest by the "
        "train accuracies there, which a search without the space would need to have for every model; and by chance.",
        grid(
            ["search", *(f"recall at {k}, %" for k in KS)],
            [[name, *(percent(profiles["recall"][name][str(k)]) for k in KS)] for name in profiles["recall"]],
        ),
    ]


def figure(result: dict[str, Any]) -> "Figure | None":
    from router.explore.dendrogram import draw_dendrogram

    found = result["clusters"]
    if not found["families"]:
        return None
    labels = np.array(found["labels"], np.int64)
    near, chance = (percent(found["agreement"][0][key], digits) for key, digits in (("neighbour", 0), ("chance", 1)))
    finding = f"{near}% of models with relatives have one as nearest neighbour, {chance}% by chance"
    title = f"{finding}. Here the {len(labels)} models with most evaluations, and their families"
    return draw_dendrogram(np.array(found["tree"]), found["leaves"], labels, title)


def _clusters(context: "Context", models: Sequence[int]) -> dict[str, Any]:
    from router.explore.clusters import cut_tree, linkage, pairwise_distances

    named = [m for m in models if context.families.get(context.data.models[m])]
    if len(named) < 3:
        return {"families": 0, "models": len(named), "agreement": []}
    groups = {WHOLE: np.array(named)}
    for pool in context.pools("train", onboarding=True):
        members = np.intersect1d(pool.models, named)
        if len(members) >= 10:
            groups[pool.name] = members
    agreement = []
    for name, members in groups.items():
        families = [context.families[context.data.models[m]] for m in members]
        distances = pairwise_distances(context.z[members])
        labels = cut_tree(linkage(distances), number=len(set(families)))
        agreement.append({"models_of": name, "models": len(members), **family_scores(families, labels, distances)})
    drawn = sorted(sorted(named, key=lambda m: -len(context.answered(m)))[:LEAVES])
    families = [context.families[context.data.models[m]] for m in drawn]
    tree = linkage(pairwise_distances(context.z[drawn]))
    return {
        "families": len({context.families[context.data.models[m]] for m in named}),
        "models": len(named),
        "agreement": agreement,
        "tree": tree.tolist(),
        "labels": cut_tree(tree, number=len(set(families))).tolist(),
        "leaves": [f"{context.data.models[m]}  ({family})" for m, family in zip(drawn, families, strict=True)],
    }


@dataclass(frozen=True)
class _Halves:
    """Two embeddings of each model from disjoint evaluations, (k, d) each."""

    a: NDArray[np.float32]
    b: NDArray[np.float32]


def _duplicates(context: "Context", models: Sequence[int], size: int | None) -> dict[str, Any] | None:
    from router.explore.clusters import pairwise_distances

    able = [m for m in models if len(context.answered(m)) >= 2 * (size or 1)]
    if len(able) < 2:
        return None
    k = len(able)
    other = ~np.eye(k, dtype=np.bool_)
    within = other & _in_one_pool(context, np.array(able))
    drawn = []
    for draw in range(DRAWS):
        halves = _halves(context, able, size, draw)
        distances = pairwise_distances(np.concatenate([halves.a, halves.b]))
        across = distances[:k, k:]
        found = {"auc": auc(np.diag(across), across[other]), **_planted(distances)}
        drawn.append(found | ({"auc_within": auc(np.diag(across), across[within])} if within.any() else {}))
    context.say(f"clustering: samples of {size or 'half'}")
    return {"evaluations": size, "models": k, "mean": mean(drawn), "spread": spread(drawn)}


def _planted(distances: NDArray[np.float64]) -> dict[str, float]:
    """The number of copies that the search for duplicates finds, and the number of other pairs that it lists.

    Args:
        distances: between k models and then their k copies, (2k, 2k).

    Returns:
        `found` and `others`; empty if there are too few models.
    """
    from router.explore.duplicates import MIN_MODELS as LEAST
    from router.explore.duplicates import find_duplicates

    k = len(distances) // 2
    planted = min(PLANTED, k // 4)
    if k < LEAST or not planted:
        return {}
    true, listed = 0, 0
    for draw in range(PLANTINGS):
        chosen = np.random.default_rng(draw).permutation(k)[:planted]
        there = np.concatenate([np.arange(k), k + chosen])
        pairs = find_duplicates(distances[np.ix_(there, there)])
        true += sum(bool(there[pair.b] == there[pair.a] + k) for pair in pairs)
        listed += len(pairs)
    return {"found": true / (planted * PLANTINGS), "others": (listed - true) / PLANTINGS}


def _halves(context: "Context", models: Sequence[int], size: int | None, draw: int) -> _Halves:
    drawn = [np.random.default_rng((3 + draw, m)).permutation(context.answered(m)) for m in models]
    sizes = [size or len(rows) // 2 for rows in drawn]
    a = [context.embed(m, rows[:n]).z for m, rows, n in zip(models, drawn, sizes, strict=True)]
    b = [context.embed(m, rows[n : 2 * n]).z for m, rows, n in zip(models, drawn, sizes, strict=True)]
    return _Halves(np.stack(a), np.stack(b))


def _in_one_pool(context: "Context", models: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for pairs of models that share a pool, (k, k), bool."""
    shared = np.zeros((len(models), len(models)), np.bool_)
    for pool in context.pools("train", onboarding=True):
        member = np.isin(models, pool.models)
        shared |= member[:, None] & member
    return shared


def _profiles(context: "Context", models: Sequence[int]) -> dict[str, Any] | None:
    """Recall at k of finding a model by its accuracies."""
    from router.explore.profile import hypothetical
    from router.model.anchors import choose_anchors
    from router.model.predictor import Predictor

    data = context.data
    anchors = choose_anchors(data, context.q)
    names = [name for name in np.unique(data.benchmarks).tolist() if name in set(anchors.benchmarks.tolist())]
    test, train = (_accuracies(context, names, split) for split in ("test", "train"))
    searched = [m for m in models if not np.isnan(test[m]).all()]
    if not searched:
        return None
    known = np.array(models)
    p = Predictor(context.fitted.locus, context.space.embeddings).predict(anchors.q, graded=True).p_correct  # (A, M)
    expected = anchors.means(p[:, context.space.rows([data.models[m] for m in models])])
    predicted = np.stack([expected[name] for name in names], axis=1)  # (M, B)
    ranks: dict[str, list[int]] = {"embedding": [], "predicted accuracies": [], "train accuracies": []}
    for m in searched:
        asked = np.flatnonzero(~np.isnan(test[m]))
        made = hypothetical(anchors, {names[i]: float(test[m, i]) for i in asked})
        z = context.fitted.locus.embed(made.q, made.y).z
        own = int(np.flatnonzero(known == m)[0])
        apart = np.linalg.norm(context.z[known].astype(np.float64) - z, axis=1)
        ranks["embedding"].append(int((apart < apart[own]).sum()) + 1)
        for search, of_models in (("predicted accuracies", predicted), ("train accuracies", train[known])):
            gaps = np.abs(of_models[:, asked] - test[m, asked])
            gap = np.where(np.isnan(gaps).any(axis=1), np.inf, gaps.mean(axis=1))
            ranks[search].append(int((gap < gap[own]).sum()) + 1)
    recall = {name: {str(k): float((np.array(found) <= k).mean()) for k in KS} for name, found in ranks.items()}
    recall["chance"] = {str(k): min(1.0, k / len(known)) for k in KS}
    return {"models": len(searched), "recall": recall}


def _accuracies(context: "Context", benchmarks: Sequence[str], split: str) -> NDArray[np.float64]:
    """Mean score of each model on each benchmark, (M, B); NaN below `FEWEST` queries."""
    data = context.data
    out = np.full((len(data.models), len(benchmarks)), np.nan)
    for i, name in enumerate(benchmarks):
        scores = data.scores[:, (data.benchmarks == name) & (data.splits == split)].astype(np.float64)
        enough = (~np.isnan(scores)).sum(axis=1) >= FEWEST
        out[enough, i] = np.nanmean(scores[enough], axis=1)
    return out
