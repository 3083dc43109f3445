"""The card of a checkpoint: its data and their licences, encoder, settings, package versions, and its accuracy on `val`."""

from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.data.baselines import best_single
from router.data.benchmarks import BENCHMARKS
from router.data.dataset import Dataset
from router.data.pools import pools, routed_scores
from router.encode.encoder import QueryEncoder
from router.model.anchors import CARD_KEY
from router.model.evidence_file import Evaluations
from router.train.evaluate import predict_all
from router.train.train import Trained

EVIDENCE_KEY = "evidence"


def describe(
    data: Dataset,
    q: NDArray[np.float32],
    encoder: QueryEncoder,
    seed: int,
    trained: Trained,
    excluded: Collection[str],
) -> dict[str, Any]:
    """The card's content without format and checkpoint id.

    Args:
        data: what was trained on.
        q: query encodings, (Q, d_q), float32.
        encoder: made `q`.
        seed: of training.
        trained: the result of training.
        excluded: benchmarks that were left out of the data.
    """
    benchmarks = sorted(set(data.benchmarks.tolist()))
    return {
        "method": "LOCUS (arXiv 2601.21082)",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": {"text_dim": encoder.text_dim},
        "encoder": {"spec": encoder.spec, "hash": encoder.hash, "dim": encoder.dim},
        "data": {
            "hash": data.hash,
            "benchmarks": benchmarks,
            "excluded_benchmarks": sorted(excluded),
            "models_trained_on": int((data.evaluated() & ~data.onboarding).sum()),
            "models_held_out": [data.models[m] for m in np.flatnonzero(data.evaluated() & data.onboarding)],
            "sources": {name: _sources(name) for name in benchmarks},
        },
        "training": {
            "seed": seed,
            "domain_variance": trained.variances[0],
            "local_variance": trained.variances[1],
            "readout_share": trained.locus.readout_share,
            "val_routing_accuracy_by_readout_share": {f"{k:g}": round(v, 4) for k, v in trained.shares.items()},
            "domains": list(trained.domains.names),
        },
        CARD_KEY: trained.anchors.counts(),
        "metrics": {"val_routing_accuracy": _val_accuracy(data, q, trained)},
        "versions": {name: version(name) for name in ("locus-gateway", "torch", "numpy", "safetensors", "tokenizers")},
    }


def _sources(benchmark: str) -> list[dict[str, str]]:
    """Projects and licences of a benchmark's evaluations and texts."""
    known = BENCHMARKS.get(benchmark)
    return (
        [source.about() for source in known.sources] if known else [{"project": "not stated", "licence": "not stated"}]
    )


def describe_evidence(evaluations: Evaluations) -> dict[str, Any]:
    """The card's content under `evidence`: split and size of the evidence file beside the checkpoint's model space."""
    return {
        "split": "train",
        "models": len(evaluations.models),
        "evaluations": evaluations.evaluation_count,
        "queries": evaluations.benchmarks,
    }


def _rounded(value: object) -> object:
    """Floats to four digits; anything else as it is."""
    return round(value, 4) if isinstance(value, float) else value


def _val_accuracy(data: Dataset, q: NDArray[np.float32], trained: Trained) -> dict[str, dict[str, float]]:
    """Routing accuracy on `val` of LOCUS and of the best single model, by pool, in [0, 1]."""
    p = predict_all(trained.locus, data, q, trained.space, "val")
    return {
        pool.name: {
            "locus": round(float(routed_scores(data, pool, p).mean()), 4),
            "best_single": round(float(routed_scores(data, pool, best_single(data, pool)).mean()), 4),
        }
        for pool in pools(data, "val", data.onboarding)
    }
