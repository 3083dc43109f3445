"""The card of a checkpoint: its data and their licences, encoder, settings, package versions, and its accuracy on `val`."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.data.baselines import best_single
from router.data.dataset import Dataset
from router.data.pools import pools, routed_scores
from router.encode.encoder import QueryEncoder
from router.model.anchors import CARD_KEY
from router.model.evidence_file import Evaluations
from router.train.evaluate import predict_all
from router.train.train import Trained

_MMLU_PRO = {"project": "github.com/TIGER-AI-Lab/MMLU-Pro", "licence": "Apache-2.0"}
_ZEROEVAL = {"project": "github.com/WildEval/ZeroEval", "licence": "Apache-2.0"}
_ROUTERDC = {"project": "github.com/shuhao02/RouterDC", "licence": "none stated"}
_ROUTERBENCH = {"project": "RouterBench (withmartian/routerbench), copied from RouterDC", "licence": "MIT"}
_ROUTELLM = {"project": "github.com/lm-sys/RouteLLM", "licence": "Apache-2.0"}
SOURCES: Mapping[str, list[dict[str, str]]] = {
    "mmlu_pro": [_MMLU_PRO],
    "gsm8k": [_ZEROEVAL, _ROUTERDC, _ROUTELLM],
    "math_l5": [_ZEROEVAL],
    "crux": [_ZEROEVAL],
    "mmlu": [_ROUTERDC, _ROUTELLM],
    **{
        name: [_ROUTERDC]
        for name in (
            "arc_easy_cloze",
            "arc_challenge_cloze",
            "cmmlu",
            "ceval",
            "math_prealgebra",
            "humaneval",
            "humaneval_js",
            "mbpp",
        )
    },
    **{name: [_ROUTERBENCH] for name in ("arc_challenge", "mbpp_routerbench", "winogrande")},
    "alpaca_eval": [{"project": "github.com/tatsu-lab/alpaca_eval", "licence": "CC BY-NC 4.0 (data)"}],
    "llmrouter": [{"project": "github.com/ulab-uiuc/LLMRouter", "licence": "MIT"}],
    "routerarena": [{"project": "github.com/RouteWorks/RouterArena", "licence": "Apache-2.0"}],
}


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
            "sources": {b: SOURCES.get(b, [{"project": "not stated", "licence": "not stated"}]) for b in benchmarks},
        },
        "training": {
            "seed": seed,
            "domain_variance": trained.variances[0],
            "local_variance": trained.variances[1],
            "domains": list(trained.domains.names),
        },
        CARD_KEY: trained.anchors.counts(),
        "guard": [
            {name: _rounded(value) for name, value in asdict(result).items()} | {"best_single_kept": result.guarded}
            for result in trained.guard
        ],
        "metrics": {"val_routing_accuracy": _val_accuracy(data, q, trained)},
        "versions": {name: version(name) for name in ("locus-gateway", "torch", "numpy", "safetensors", "tokenizers")},
    }


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
