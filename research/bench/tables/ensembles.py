"""Ensembles: one call against votes of several models, by the gateway's own code, on answers that are simulated from scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from research.bench.tables.cells import grid, number, percent, picture, points, usd
from research.bench.tables.ensemble_cases import PEERS, SPLIT_POOL, benchmarks_of, cases_of, parts_of
from research.bench.tables.ensemble_rows import (
    CHEAP_FIRST,
    DRAWS,
    PANEL,
    ROUTER,
    ROWS,
    TOP_3_LAZY,
    Case,
    Outcome,
    outcomes,
)
from research.bench.tables.self_consistency import SAMPLES, has_samples, self_consistency
from router.data.pools import MACRO, group
from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 1
ALIKE = (0.0, 0.3, 0.4, 0.5)  # probabilities that two wrong answers are the same
SHOWN = "0.4"
TOPS = (ROUTER, "top 2", "top 3", "top 5", "top 9")  # all asked at once
Row = dict[str, Any]
Result = dict[str, Any]


def measure(context: "Context") -> Result:
    """Accuracy, calls and USD of each row in each pool, by our router."""
    data, pools = context.data, context.pools("test")
    known = context.p_test, context.prices
    return measured(cases_of(data, pools, *known), cases_of(data, benchmarks_of(data, pools), *known))


def measured(cases: Sequence[Case], benchmarks: Sequence[Case], draws: int = DRAWS) -> Result:
    """The result of the table.

    Args:
        cases: the pools.
        benchmarks: single ones; self-consistency is measured on those with samples.
    """
    sampled = [case for case in benchmarks if has_samples(case)]
    pools = {case.name: _of_case(case, draws) for case in cases}
    counted = [found["alike"] for name, found in pools.items() if group(name) == MACRO]
    return {
        "draws": draws,
        "parts": {case.name: _of_case(case, draws) for case in parts_of(cases)},
        "pools": pools,
        "macro": {str(a): averaged([found[str(a)] for found in counted]) for a in ALIKE} if counted else {},
        "samples": {case.name: _of_samples(case, draws) for case in sampled},
    }


def compared(of_rows: Mapping[str, Outcome], reference: str = ROUTER) -> dict[str, Row]:
    """Means of each row, and its difference to one of them with the standard error over queries of the paired difference."""
    base = of_rows[reference].right
    return {
        name: {
            "accuracy": float(one.right.mean()),
            "difference": float((one.right - base).mean()),
            "error": float((one.right - base).std(ddof=1) / np.sqrt(len(base))) if len(base) > 1 else 0.0,
            "calls": float(one.calls.mean()),
            "usd": _known(one.usd.mean()),
        }
        for name, one in of_rows.items()
    }


def _of_case(case: Case, draws: int) -> Result:
    found = {str(alike): compared(outcomes(case, ROWS, alike, draws)) for alike in ALIKE}
    voted = float((~np.isnan(case.wrong)).mean())
    return {"models": len(case.mean), "queries": len(case.wrong), "voted": voted, "alike": found}


def _of_samples(case: Case, draws: int) -> dict[str, dict[str, Row]]:
    tops = {name: ROWS[name] for name in TOPS}
    return {
        str(alike): compared(outcomes(case, tops, alike, draws) | self_consistency(case, alike, draws))
        for alike in ALIKE
    }


def averaged(pools: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """Means over pools, at least one, each of which counts the same."""
    found = {}
    for name in pools[0]:
        rows = [pool[name] for pool in pools]
        found[name] = {key: _known(np.mean([row[key] for row in rows], dtype=np.float64)) for key in rows[0]}
        found[name]["error"] = float(np.sqrt(sum(row["error"] ** 2 for row in rows)) / len(rows))
    return found


def _known(value: np.floating) -> float | None:
    """None for NaN: the price of a model is not known."""
    return None if np.isnan(value) else float(value)


def section(result: Result) -> str:
    columns = _columns(result)
    if not columns:
        return "## 11. Ensembles\n\nNot measured: no pool has answers that can be voted on."
    shown = {name: found[SHOWN] for name, found in columns.items()}
    text = [
        "## 11. Ensembles",
        *_simulation_text(result),
        f"Accuracy, %, where wrong answers are alike with probability {SHOWN}; in brackets the difference to the router's one "
        "call, in points, ± its standard error over queries, paired:",
        _table(shown, _accuracy),
        "Calls per query:",
        _table(shown, lambda row: number(row["calls"])),
        f"USD per 1,000 queries (characters / {CHARS_PER_TOKEN} tokens in, {EXPECTED_OUTPUT_TOKENS} tokens out):",
        _table(shown, lambda row: usd(row["usd"])),
        "Difference to the router's one call, in points, by the probability that two wrong answers are alike:",
        grid(["pool, row", *map(_alike, ALIKE)], list(_by_alike(columns))),
        *_sample_text(result),
        picture("ensembles", "Gain of ensembles over the router's one call"),
    ]
    return "\n\n".join(text)


def _simulation_text(result: Result) -> Iterator[str]:
    """How the answers are simulated, and for which pools."""
    yield (
        "The data have scores and no answers, so answers are simulated: right ones are alike, and two wrong ones are alike with a "
        f"stated probability (means of {result['draws']} draws). Among recorded answers of good models to MMLU-Pro it is 0.32 to "
        "0.51. Of W wrong options two agree with probability 1/W at least, so of two options always. Code and prose are not voted "
        "on: the most probable model's answer is given. The gateway's own code weighs and counts the votes, and stops asking where "
        f"the rest cannot change the result; `{PANEL}` is its shipped policy, `{CHEAP_FIRST}` the same with "
        "`cascade: {cheap_first: true}`."
    )
    sizes = [
        f"{name} ({found['models']} models, {found['queries']:,} queries, {percent(found['voted'], 0)}% voted on)"
        for name, found in _voted(result).items()
    ]
    yield f"Pools: {'; '.join(sizes)}. Peers are models with a mean train score from {PEERS[0]} to {PEERS[1]}."
    free = {
        name: found["alike"][SHOWN][PANEL]["calls"] for name, found in result["pools"].items() if not found["voted"]
    }
    if free:
        calls = f"{number(min(free.values()))} to {number(max(free.values()))}"
        yield (
            f"Not shown, because they have only code and prose: {', '.join(free)}. There the panel gives the router's answer, and "
            f"makes {calls} calls for it: what an answer is shows only when it is there, and no judge is configured."
        )


def _voted(result: Result) -> Result:
    """The pools with answers that can be voted on, each with its parts behind it."""
    found: Result = {}
    for name, pool in result["pools"].items():
        if pool["voted"]:
            found[name] = pool
        if name == SPLIT_POOL:
            found |= result["parts"]
    return found


def _columns(result: Result) -> dict[str, dict[str, dict[str, Row]]]:
    """Pools, their parts and the macro average: name -> probability -> row -> values."""
    columns = {name: found["alike"] for name, found in _voted(result).items()}
    return columns | ({MACRO: result["macro"]} if columns and result["macro"] else {})


def _table(columns: Mapping[str, Mapping[str, Row]], cell: Callable[[Row], str]) -> str:
    return grid(["row", *columns], [[name, *(cell(rows[name]) for rows in columns.values())] for name in ROWS])


def _accuracy(row: Row) -> str:
    differs = row["difference"] or row["error"]
    return f"{percent(row['accuracy'])} ({difference(row)})" if differs else percent(row["accuracy"])


def difference(row: Row) -> str:
    """`+0.6 ± 0.4`, in points."""
    return f"{points(row['difference'])} ± {percent(row['error'])}"


def _alike(alike: float) -> str:
    return str(alike) if alike else "by chance"


def _by_alike(columns: Mapping[str, Mapping[str, Mapping[str, Row]]]) -> Iterator[list[str]]:
    for pool, found in columns.items():
        for name in (TOP_3_LAZY, *TOPS[3:], PANEL):
            yield [f"{pool}: {name}", *(difference(found[str(alike)][name]) for alike in ALIKE)]


def _sample_text(result: Result) -> Iterator[str]:
    """Self-consistency beside votes of different models; nothing without scores of several samples."""
    for name, found in result["samples"].items():
        lines = [
            [row, number(values["calls"], 0), percent(values["accuracy"]), usd(values["usd"])]
            + [difference(found[str(alike)][row]) for alike in ALIKE]
            for row, values in found[SHOWN].items()
        ]
        yield (
            f"Self-consistency on {name}, where a score is the share of right ones among {SAMPLES} samples: the most frequent "
            "answer of several of these samples of the router's model, beside the weighted vote of different models, one sample "
            "each. "
            f"Accuracy is for {SHOWN}; behind it are differences to one call by the probability that two wrong answers are alike. "
            "Here it is the same between samples of one model as between models; the data do not show what it is:"
        )
        yield grid(["row", "calls", "accuracy", "USD per 1,000", *map(_alike, ALIKE)], lines)


def figure(result: Result) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    columns = _columns(result)
    shown = [name for name in columns if name in (SPLIT_POOL, MACRO, *result["parts"])]
    panels = []
    for name in shown:
        of_alike = [columns[name][str(alike)] for alike in ALIKE]
        drawn = [
            Curve(
                row,
                ALIKE,
                [100 * rows[row]["difference"] for rows in of_alike],
                spread=[100 * rows[row]["error"] for rows in of_alike],
            )
            for row in (PANEL, *TOPS[2:])
        ]
        title = f"{SPLIT_POOL}, {name}" if name in result["parts"] else name
        title += f": panel, {number(columns[name][SHOWN][PANEL]['calls'], 1)} calls"
        panels.append(Panel(title, drawn, ("the router's one call", 0.0)))
    if not panels:
        return None
    x = "probability that two wrong answers\nare alike; 0: by chance only"
    words = Words(_finding(columns[shown[-1]][SHOWN]), x, "gain over the router's one call, points", "± standard error")
    return curves(panels, words, log_x=False, columns=2)


def _finding(rows: Mapping[str, Row]) -> str:
    """What the plot shows."""
    panel, most = rows[PANEL], rows[TOPS[-1]]
    return (
        f"If wrong answers are alike with probability {SHOWN}, the panel gains {points(panel['difference'])} points with "
        f"{number(panel['calls'], 1)} calls, up to nine votes {points(most['difference'])} with {number(most['calls'], 1)}"
    )
