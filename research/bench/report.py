"""The results as JSON and as Markdown. The report is a list of sections; each reads its own part of the JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from research.bench.bootstrap import RESAMPLES
from research.bench.main_table import MainTable
from research.bench.tuning import Tuned
from router.data.pools import MACROS, group

Section = Callable[[Mapping[str, Any]], str]  # the whole JSON -> Markdown; "" where its part is missing


def main_json(table: MainTable, tuned: Sequence[Tuned], seeds: int) -> dict[str, Any]:
    """The parts `main` and `grids`."""
    return {
        "main": {
            "split": "test",
            "seeds": seeds,
            "reference": table.reference,
            "resamples": RESAMPLES,
            "pools": [
                {
                    "name": pool.name,
                    "queries": len(pool.queries),
                    "models": len(pool.models),
                    "macro": group(pool.name),
                }
                for pool in table.pools
            ],
            "rows": [asdict(row) for row in table.rows],
        },
        "grids": [
            {
                "name": row.name,
                "trials": [asdict(trial) for trial in row.trials],
                "for_routing": row.for_routing,
                "for_prediction": row.for_prediction,
                "seeds": len(row.routing_runs),
            }
            for row in tuned
        ],
    }


def markdown(found: Mapping[str, Any], sections: Sequence[Section] = ()) -> str:
    """The report: the main table, its grids, then further sections."""
    parts = [section(found) for section in (main_section, grids_section, *sections)]
    return "\n\n".join(["# How well the router does, against what", *(part for part in parts if part)]) + "\n"


def main_section(found: Mapping[str, Any]) -> str:
    """Accuracies of every row, and differences to ours with their intervals."""
    main = found["main"]
    columns = []
    for label in MACROS:
        members = [pool["name"] for pool in main["pools"] if pool["macro"] == label]
        columns += [*members, label] if members else []
    beside = [pool["name"] for pool in main["pools"] if pool["macro"] is None]
    columns += beside
    sizes = {pool["name"]: f"{pool['models']} models, {pool['queries']:,} queries" for pool in main["pools"]}
    text = [
        "## Main table",
        f"Split `{main['split']}`, means over {main['seeds']} seeds for what depends on one. A query's candidates are the "
        "models of the pool that answered it; models marked `onboarding` are left out. Pools: "
        + "; ".join(f"{name} ({size})" for name, size in sizes.items())
        + (f". In no macro average: {', '.join(beside)}." if beside else "."),
        "Routing accuracy, %:",
        _accuracies(main["rows"], "routing", columns),
        "Correctness-prediction accuracy, % of evaluations (p ≥ 0.5 says correct):",
        _accuracies([row for row in main["rows"] if row["prediction"]], "prediction", columns),
    ]
    if main["reference"]:
        others = [row for row in main["rows"] if row["name"] != main["reference"]]
        text += [
            f"Each row less {main['reference']}, in points, with the 95% interval of a paired bootstrap over test queries "
            f"({main['resamples']:,} resamples within pools). Routing:",
            _differences(others, "routing_difference", columns),
            "Correctness prediction:",
            _differences([row for row in others if row["prediction_difference"]], "prediction_difference", columns),
        ]
    return "\n\n".join(text)


def grids_section(found: Mapping[str, Any]) -> str:
    """The settings that were tried, and their results on `val`."""
    text = [
        "## What was tuned, and how",
        "Every setting was tried once, with seed 0, and judged on `val` alone (macro, %). Routing and prediction each take the "
        "setting that is best for them.",
    ]
    for row in found["grids"]:
        if len(row["trials"]) == 1 and not row["trials"][0]["setting"]:
            continue
        lines = []
        for i, trial in enumerate(row["trials"]):
            marks = [
                word for word, at in (("routing", row["for_routing"]), ("prediction", row["for_prediction"])) if at == i
            ]
            lines.append(
                [
                    setting(trial["setting"]),
                    _percent(trial["val_routing"], 2),
                    _percent(trial["val_prediction"], 2),
                    f"{trial['seconds']:.1f}",
                    ", ".join(marks),
                ]
            )
        text += [
            f"**{row['name']}**",
            table(["setting", "val routing", "val prediction", "seconds", "chosen for"], lines),
        ]
    return "\n\n".join(text)


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))


def setting(values: Mapping[str, Any]) -> str:
    """`clusters 64, prior pool`"""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _accuracies(rows: Sequence[Mapping[str, Any]], measure: str, columns: Sequence[str]) -> str:
    lines = [[row["name"], *(_percent(row[measure].get(column), 1) for column in columns)] for row in rows]
    return table(["row", *columns], lines)


def _differences(rows: Sequence[Mapping[str, Any]], measure: str, columns: Sequence[str]) -> str:
    return table(
        ["row", *columns], [[row["name"], *(_interval(row[measure].get(column)) for column in columns)] for row in rows]
    )


def _percent(value: float | None, digits: int) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _interval(gap: Mapping[str, float] | None) -> str:
    return "" if gap is None else f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"
