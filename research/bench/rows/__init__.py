"""The routers that are compared, in the order of the tables. Each is imported only when it is used."""

from collections.abc import Sequence
from importlib import import_module

from research.bench.method import Method
from router.errors import DataError

OURS = "ours"
RANDOM, ORACLE = "random", "oracle"  # need no fit: see `research.bench.outcomes`
_TARGETS = {
    "best single": "research.bench.rows.best_single:BestSingle",
    "best per benchmark": "research.bench.rows.best_per_benchmark:BestPerBenchmark",
    "kNN": "research.bench.rows.nearest:Nearest",
    "clusters": "research.bench.rows.clusters:Clusters",
    "logistic regression": "research.bench.rows.logistic:Logistic",
    "EmbedLLM": "research.bench.rows.embedllm:EmbedLLM",
    "IRT-Net": "research.bench.rows.irt_net:IrtNet",
    "UniRoute": "research.bench.rows.uniroute:UniRoute",
    "LOCUS (paper)": "research.bench.rows.paper_locus:PaperLocus",
}
METHODS = (*_TARGETS, OURS)


def methods(names: Sequence[str] = (), ours: Method | None = None) -> list[Method]:
    """Rows by name, in the tables' order; no name: all of them.

    Args:
        ours: our row, which needs more than its name; None: it is left out.

    Raises:
        DataError: a name is not that of a row.
    """
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise DataError(f"no row {', '.join(map(repr, unknown))}; there are {', '.join(METHODS)}")
    others = [_load(target) for name, target in _TARGETS.items() if not names or name in names]
    return [*others, ours] if ours is not None and (not names or OURS in names) else others


def _load(target: str) -> Method:
    module, _, attribute = target.partition(":")
    method: Method = getattr(import_module(module), attribute)()
    return method
