"""`locus portfolio suggest` chooses models to serve, for given traffic and a budget."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router.commands.groups import CommandGroup
from router.commands.options import FILE, JSON, checkpoint_options, readable_errors, space_options
from router.commands.sources import load_models
from router.commands.terminal import show, table_of
from router.errors import DataError
from router.explore.model_prices import EXPECTED_OUTPUT_TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from router.explore.model_prices import TokenPrice
    from router.explore.portfolio_choice import Coverage
    from router.explore.traffic import Traffic
    from router.model.checkpoint import Checkpoint
    from router.model.serving import Router


@click.group(cls=CommandGroup)
def portfolio() -> None:
    """Suggest which models to serve."""


@portfolio.command()
@click.option("-k", "--k", type=click.IntRange(1), help="Number of models.")
@click.option(
    "--budget", type=click.FloatRange(0), metavar="USD", help="Largest mean price of a query; needs --prices."
)
@click.option(
    "--weights", type=FILE, metavar="TRAFFIC", help="Benchmark weights (.json, .yaml) or prompts (.jsonl, .txt)."
)
@click.option(
    "--models",
    type=FILE,
    help="Candidates: a portfolio (.yaml) or one name per line; default: all models of the space.",
)
@click.option("--prices", type=FILE, metavar="CSV", help="Columns model, usd_per_mtok_in, usd_per_mtok_out.")
@click.option(
    "--tokens-in",
    type=click.FloatRange(0),
    default=500.0,
    show_default=True,
    help="Input tokens of a query, for its price.",
)
@click.option(
    "--tokens-out",
    type=click.FloatRange(0),
    default=float(EXPECTED_OUTPUT_TOKENS),
    show_default=True,
    help="Output tokens of an answer, for its price.",
)
@checkpoint_options
@space_options
@JSON
@readable_errors
def suggest(
    k: int | None,
    budget: float | None,
    weights: Path | None,
    models: Path | None,
    prices: Path | None,
    tokens_in: float,
    tokens_out: float,
    checkpoint: Path | None,
    trust: bool,
    space: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Suggest the models that together answer the traffic best.

    Portfolios are compared by the expected accuracy of routing among their models. --budget limits the mean price of a query
    when each is routed to the highest p - cost_weight * price; the command prints the cost weight for the policy. With a budget
    and without --k, it takes the fewest models that reach 99% of the accuracy of all candidates within the budget.
    """
    import numpy as np

    from router.explore.model_prices import read_names, read_prices

    if k is None and budget is None:
        raise click.UsageError("Give --k or --budget, or both.")
    if budget is not None and prices is None:
        raise click.UsageError("--budget needs --prices.")
    loaded, router, _ = load_models(checkpoint, trust, space, config)
    names: Sequence[str] = router.space.models if models is None else read_names(models)
    listed = read_prices(prices) if prices is not None else {}
    if budget is not None:
        names = _priced(names, listed)
    if k is not None and k > len(names):
        raise click.UsageError(f"--k is {k}, but there are {len(names)} candidates.")
    traffic = _traffic(weights, loaded, router)
    p = router.scorer(names).p_correct(traffic.q, graded=traffic.graded)
    unknown = float("nan")
    usd = np.array([listed[name].usd(tokens_in, tokens_out) if name in listed else unknown for name in names])
    suggestion = _suggestion(names, p, traffic, usd, k, budget) | {"tokens": [tokens_in, tokens_out]}
    if as_json:
        click.echo(json.dumps(suggestion, indent=2))
    else:
        _print_suggestion(suggestion)


def _traffic(weights: Path | None, loaded: "Checkpoint", router: "Router") -> "Traffic":
    from router.explore.traffic import BENCHMARK_WEIGHTS, anchor_traffic, prompt_traffic, weighted_traffic
    from router.model.anchors import load_anchors

    if weights is None:
        return anchor_traffic(load_anchors(loaded))
    if weights.suffix in BENCHMARK_WEIGHTS:
        return weighted_traffic(weights, load_anchors(loaded))
    return prompt_traffic(weights, router.encoder)


def _priced(names: Sequence[str], prices: "Mapping[str, TokenPrice]") -> list[str]:
    """The candidates that have a price. Prints the others to stderr."""
    priced = [name for name in names if name in prices]
    if not priced:
        raise DataError("no candidate has a price")
    if len(priced) < len(names):
        missing = ", ".join(name for name in names if name not in prices)
        click.echo(f"left out, having no price: {missing}", err=True)
    return priced


def _suggestion(
    names: Sequence[str],
    p: "NDArray[np.float32]",
    traffic: "Traffic",
    usd: "NDArray[np.float64]",
    k: int | None,
    budget: float | None,
) -> dict[str, Any]:
    """The suggestion as plain values, for the table and for the JSON."""
    from router.explore.portfolio_choice import coverage_greedy, coverage_under_budget, routed_within, smallest_enough

    if budget is None:
        everything = coverage_greedy(p, traffic.weights, len(names))
        chosen = coverage_greedy(p, traffic.weights, k or len(names))
        enough = smallest_enough(everything, everything.accuracy[-1])
    else:
        try:
            enough_models = coverage_under_budget(p, traffic.weights, usd, budget)
        except ValueError as exc:
            raise DataError(str(exc)) from exc
        everything = routed_within(p, traffic.weights, usd, budget, range(len(names)))
        chosen = enough_models if k is None else coverage_under_budget(p, traffic.weights, usd, budget, k)
        enough = len(enough_models.models)
    full = everything.accuracy[-1]
    return {
        "traffic": traffic.about,
        "candidates": len(names),
        "full_pool_accuracy": full,
        "smallest_k_for_99_percent": enough,
        "cost_weight": chosen.cost_weight,
        "budget_usd_per_query": budget,
        "models": _suggested(names, chosen, full, usd),
    }


def _suggested(
    names: Sequence[str], chosen: "Coverage", full: float, usd: "NDArray[np.float64]"
) -> list[dict[str, Any]]:
    return [
        {
            "model": names[m],
            "accuracy": chosen.accuracy[i],
            "of_full_pool": chosen.accuracy[i] / full,
            "usd_per_query": _known(float(usd[m])),
            "mean_usd_per_query": _known(chosen.usd_per_query[i]),
        }
        for i, m in enumerate(chosen.models)
    ]


def _known(value: float) -> float | None:
    return None if value != value else value


def _print_suggestion(suggestion: dict[str, Any]) -> None:
    budget = suggestion["budget_usd_per_query"]
    prices = any(row["usd_per_query"] is not None for row in suggestion["models"])
    columns = ["", "model", "accuracy", "of full pool"] + ["USD per 1000"] * prices
    table = table_of(columns + ["USD per 1000, routed"] * (budget is not None), text=(1,))
    for i, row in enumerate(suggestion["models"], 1):
        cells = [str(i), row["model"], f"{100 * row['accuracy']:.1f}%", f"{100 * row['of_full_pool']:.1f}%"]
        cells += [_usd(row["usd_per_query"])] * prices + [_usd(row["mean_usd_per_query"])] * (budget is not None)
        table.add_row(*cells)
    show(table)
    within = "" if budget is None else f" within {1000 * budget:g} USD per 1000 queries"
    click.echo(
        f"\nExpected accuracy of routing among the models so far, over {suggestion['traffic']}.\n"
        f"All {suggestion['candidates']} candidates reach {100 * suggestion['full_pool_accuracy']:.1f}%{within}; "
        f"k = {suggestion['smallest_k_for_99_percent']} is the smallest that reaches 99% of that."
    )
    if prices:
        tokens_in, tokens_out = suggestion["tokens"]
        click.echo(f"Prices are for queries of {tokens_in:g} tokens in and {tokens_out:g} out.")
    if budget is not None:
        click.echo(f"To keep the budget, route with a policy of `cost_weight: {suggestion['cost_weight']:.6g}`.")


def _usd(value: float | None) -> str:
    return "–" if value is None else f"{1000 * value:.3f}"
