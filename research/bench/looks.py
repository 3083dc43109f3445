"""Colour and mark of everything that plots compare: a name has the same ones in every plot, so none is read by colour alone.

Blue is what Locus does by itself, ink the best single model, grey what is not chosen at all.
"""

from collections.abc import Mapping

from research.bench.rows import ORACLE, OURS, RANDOM
from router.explore.style import COLOURS, GREY, INK

Look = tuple[str, str]  # colour, mark
SINGLE = "a model by itself"
BLUE, ROSE, GREEN, OLIVE, SKY, PURPLE, BROWN, VIOLET, RED, ULTRAMARINE = COLOURS
_ROUTERS: Mapping[str, Look] = {
    OURS: (BLUE, "o"),
    "EmbedLLM": (ROSE, "s"),
    "IRT-Net": (GREEN, "^"),
    "kNN": (OLIVE, "D"),
    "clusters": (SKY, "v"),
    "LOCUS (paper)": (PURPLE, "P"),
    "logistic regression": (BROWN, "X"),
    "UniRoute": (VIOLET, "<"),
    "best per benchmark": (RED, ">"),
    "best single": (INK, "*"),
    RANDOM: (GREY, "x"),
    ORACLE: (GREY, "+"),
    SINGLE: (GREY, "o"),
}
LOOKS: Mapping[str, Look] = {
    **_ROUTERS,
    # What predicts a newcomer.
    "nearest known model by agreement": (ULTRAMARINE, "h"),
    "kNN on its own evaluations": _ROUTERS["kNN"],
    "EmbedLLM's vector refitted": _ROUTERS["EmbedLLM"],
    # Stand-ins.
    "runner-up by predicted correctness": (BLUE, "p"),
    "nearest neighbour": (PURPLE, "d"),
    "query-conditional neighbour": (BROWN, "h"),
    "best single of the others": _ROUTERS["best single"],
    "random other model": _ROUTERS[RANDOM],
    # What chooses a portfolio.
    "coverage-greedy": (BLUE, "D"),
    "k-center": (PURPLE, "s"),
    "k-medoids": (BROWN, "^"),
    "most accurate on train": (INK, "v"),
    # Embeddings from other queries.
    "same model": (BLUE, "s"),
    "nearest other model": (PURPLE, "D"),
    "other models": (GREY, "^"),
    # Ensembles.
    "panel": (BLUE, "P"),
    "top 3": (ROSE, "d"),
    "top 5": (BROWN, "s"),
    "top 9": (PURPLE, "v"),
}
