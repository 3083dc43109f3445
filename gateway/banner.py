"""What `locus serve` says once it listens: where, what it serves, how to call it, how to plug in real models."""

from pathlib import Path

from gateway.portfolio import Portfolio

_DEMO_QUESTION = (
    "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. "
    "How many miles does Tom drive in total?"
)


def banner(portfolio: Portfolio, path: Path | None, address: tuple[object, ...]) -> str:
    """Four lines.

    Args:
        path: of the portfolio file; None where there is none.
        address: host and port of the listener.
    """
    host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
    base = f"http://{host}:{address[1]}"
    key = ' -H "authorization: Bearer $LOCUS_KEY"' if portfolio.settings.keys else ""
    names = ", ".join(model.name for model in portfolio.models)
    body = '{"model": "auto", "messages": [{"role": "user", "content": "%s"}]}'
    if portfolio.simulated:
        demo = " (DEMO: simulated models, no answer is real)"
        served = f"SIMULATED models: {names}"
        question = _DEMO_QUESTION
        more = "for real models: locus serve --config FILE, with a portfolio file such as config/portfolio.yaml; "
        more += f"stop a model to see its stand-in: curl -X POST {base}/demo/stop/sim-math"
    else:
        demo = ""
        served = f"{len(portfolio.models)} models from {path}: {names}"
        question = "Why is the sky blue?"
        more = f"edit {path}, it is read again when it changes; `locus check` says what is wrong with it"
    return (
        f"listening on {base}{demo}\n"
        f"locus  {served}\n"
        f"try    curl -i {base}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body % question}'\n"
        f"models {more}"
    )
