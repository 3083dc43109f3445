"""The lines that `locus serve` prints when it listens: its address, its models, a command to try it, the console, the next step."""

from pathlib import Path

from gateway.commands.notices import wrapped
from gateway.config.portfolio import Portfolio

_DEMO_QUESTION = (
    "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. "
    "How many miles does Tom drive in total?"
)
INDENT = 8  # columns, the width of the first words


def banner(portfolio: Portfolio, path: Path | None, address: tuple[object, ...]) -> str:
    """Returns the lines. On a terminal all but the command are wrapped at its width; in a log file no line is.

    Args:
        path: of the portfolio file; None if there is none.
        address: host and port of the listener.
    """
    base = _base_url(address)
    key = ' -H "authorization: Bearer $LOCUS_KEY"' if portfolio.access.keys else ""
    names = ", ".join(model.name for model in portfolio.models)
    body = '{"model": "auto", "messages": [{"role": "user", "content": "%s"}]}'
    more: tuple[str, ...]
    if portfolio.simulated:
        demo = " (DEMO: simulated models, no answer is real)"
        served = f"SIMULATED: {names}"
        question = _DEMO_QUESTION
        more = (
            f"to see a stand-in answer, stop a model: curl -X POST {base}/demo/stop/sim-math",
            "to serve real models: `locus init` writes a portfolio file, and `locus serve` serves it",
        )
    else:
        demo = ""
        served = f"{len(portfolio.models)} from {path}: {names}"
        question = "Why is the sky blue?"
        more = (f"to change the models, edit {path}: the gateway reads it again; `locus check` shows its errors",)
    curl = f"try     curl -i {base}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body % question}'"
    return "\n".join(
        [
            wrapped(f"listening on {base}{demo}", INDENT),
            wrapped(f"models  {served}", INDENT),
            curl,
            wrapped(f"console {base}/ui shows who answered, why, and what it cost", INDENT),
            *(wrapped(("next" if line is more[0] else "").ljust(INDENT) + line, INDENT) for line in more),
        ]
    )


def banner_fields(portfolio: Portfolio, address: tuple[object, ...]) -> dict[str, object]:
    """The same for a log in JSON."""
    return {
        "url": _base_url(address),
        "models": [model.name for model in portfolio.models],
        "simulated": portfolio.simulated,
    }


def _base_url(address: tuple[object, ...]) -> str:
    host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
    return f"http://{host}:{address[1]}"
