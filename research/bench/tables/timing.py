"""Claim 10: the time to embed a model and to choose one (Table 3), on one thread of this machine."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from research.bench.tables.cells import grid, number, picture
from router.explore.model_prices import CHARS_PER_TOKEN
from router.model.policy import Policy, choose
from router.model.predictor import Predictor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 2
SIZES = (8, 32, 128, 512, 2048, 8192)
MODELS = (10, 100, 1000)
EMBEDDINGS, CHOICES = 5, 200  # repeats; the result is their median
TOKENS = 64
POLICY = Policy("utility", "cost_weight", 10.0)


def measure(context: "Context", sizes: Sequence[int] = SIZES, choices: int = CHOICES) -> dict[str, Any]:
    """Median milliseconds of embedding and of choosing."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return {
            "embedding": _embedding(context, sizes),
            "choosing": [_choosing(context, models, choices) for models in MODELS],
            "encoding": _encoding(context, choices),
            "processor": _processor(),
        }


def median_ms(run: Callable[[int], object], repeats: int) -> float:
    """The median over repeats, ms of CPU time, which other processes do not lengthen; a first call does not count.

    Args:
        run: gets the number of the repeat.
    """
    run(0)
    taken = []
    for i in range(repeats):
        start = time.process_time()
        run(i)
        taken.append(time.process_time() - start)
    return 1000 * float(np.median(taken))


def section(result: dict[str, Any]) -> str:
    embedding, encoding = result["embedding"], result["encoding"]
    text = [
        "## 10. Time",
        f"One thread of {result['processor']}; medians of {EMBEDDINGS} and {CHOICES} repeats, milliseconds of CPU time. Embedding "
        "one model:",
        grid(["evaluations", *(f"{e['evaluations']:,}" for e in embedding)], [["ms", *(number(e["ms"], 1) for e in embedding)]]),
        "Choosing for one query that is encoded already: predictions of all models and the choice by utility with prices. All in: "
        f"encoding a prompt of {encoding['tokens']} tokens as well." if encoding else
        "Choosing for one query that is encoded already: predictions of all models and the choice by utility with prices.",
    ]  # fmt: skip
    lines = [["choosing", *(number(e["ms"], 3) for e in result["choosing"])]]
    if encoding:
        lines.append(["all in", *(number(e["ms"] + encoding["ms"], 3) for e in result["choosing"])])
    text.append(grid(["models", *(f"{e['models']:,}" for e in result["choosing"])], lines))
    return "\n\n".join([*text, picture("timing", "Time to embed a model")])


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves
    from research.bench.rows import OURS

    x = [float(entry["evaluations"]) for entry in result["embedding"]]
    panel = Panel("", [Curve(OURS, x, [entry["ms"] for entry in result["embedding"]])])
    few, many = result["embedding"][0], result["embedding"][-1]
    first, last = (f"{number(e['ms'], 0)} ms from {e['evaluations']:,}" for e in (few, many))
    title = f"Embedding a model takes {first} evaluations, and {last}"
    words = Words(title, "evaluations of the model", "CPU time on one thread, ms")
    return curves([panel], words, log_y=True, columns=1)


def _embedding(context: "Context", sizes: Sequence[int]) -> list[dict[str, float]]:
    """On the model with most train evaluations, at sizes that it has."""
    model = max(range(len(context.data.models)), key=lambda m: len(context.answered(m)))
    rows = np.random.default_rng(0).permutation(context.answered(model))
    usable = [n for n in sizes if n <= len(rows)]
    return [
        {"evaluations": n, "ms": median_ms(lambda _, n=n: context.embed(model, rows[:n]), EMBEDDINGS)}  # type: ignore[misc]
        for n in usable
    ]


def _choosing(context: "Context", models: int, repeats: int) -> dict[str, float]:
    """The time of a choice among a number of models, those of the space repeated as needed."""
    space, rng = context.space, np.random.default_rng(0)
    rows = np.arange(models) % len(space.models)
    predictor = Predictor(context.fitted.locus, space.embeddings.take(rows))
    prices, eligible = rng.uniform(1e-5, 1e-2, models), np.ones(models, np.bool_)
    q = context.q[context.data.where("test")]

    def decide(i: int) -> object:
        predicted = predictor.predict(q[i % len(q)][None])
        return choose(predicted.p_correct[0], predicted.standard_error[0], prices, eligible, POLICY, POLICY.value)

    return {"models": models, "ms": median_ms(decide, repeats)}


def _encoding(context: "Context", repeats: int) -> dict[str, float] | None:
    """The time to encode prompts of the data, cut or repeated to about `TOKENS` tokens; None without an encoder."""
    if context.encode is None:
        return None
    encode, prompts = context.encode, [context.data.prompts[i] for i in context.data.where("test")[:repeats].tolist()]
    chars = CHARS_PER_TOKEN * TOKENS
    cut = [(prompt * (1 + chars // max(1, len(prompt))))[:chars] for prompt in prompts]
    return {"tokens": TOKENS, "ms": median_ms(lambda i: encode([cut[i % len(cut)]]), repeats)}


def _processor() -> str:
    """The name of the CPU, if the system reports it."""
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine()
