"""A replay's report in words and tables for a terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.core.printable import printable
from gateway.replay.reasons import REASONS, WORDS
from gateway.replay.report import Compared, Report
from router.commands.terminal import console
from router.replay.estimate import Estimate

if TYPE_CHECKING:
    from rich.console import Console

NARROW = 100  # columns
MODELS = 12  # rows of the table of models


def show(report: Report, other: str) -> None:
    """Prints the report.

    Args:
        other: what was replayed, in words.
    """
    screen = console()
    _requests(screen, report, other)
    if not report.replayed:
        return
    screen.print(
        f"It chooses another model than the one that answered for {_percent(report.differing)} of them. The present portfolio "
        f"would choose today as it did then for {_percent(report.same_now)}.\n"
    )
    _estimates(screen, report)
    _notes(screen, report)
    _models(screen, report)


def _requests(screen: "Console", report: Report, other: str) -> None:
    """What was replayed, and which requests could not be."""
    screen.print(f"[bold]Replayed: {_escaped(other)}[/]")
    screen.print(f"{report.replayed:,} of {report.requests:,} requests {_period(report)}.")
    for reason in REASONS:
        if count := report.not_replayed.get(reason):
            screen.print(f"  {count:,} {WORDS[reason]}", style="dim")
    if not report.replayed:
        screen.print("[yellow]There is nothing to compare.[/]")


def show_curve(cost_weights: Sequence[float], reports: Sequence[Report], other: str) -> None:
    """Prints one row for each cost weight.

    Args:
        reports: in the order of the cost weights; on the same requests.
        other: what was replayed, in words.
    """
    from router.commands.terminal import table_of

    screen = console()
    _requests(screen, reports[0], other)
    if not reports[0].replayed:
        return
    wide = screen.width >= NARROW
    table = table_of(
        ("cost weight", "accuracy", *(("90% interval",) if wide else ()), "USD per 1,000", "differs"), text=()
    )
    logged = reports[0]
    rows = [("as logged", logged.readout.logged, logged.usd.logged, 0.0)]
    for weight, report in zip(cost_weights, reports, strict=True):
        rows.append((f"{weight:g}", report.readout.other, report.usd.other, report.differing))
    for name, accuracy, usd, differing in rows:
        interval = (f"{_number(accuracy.low, '%')} to {_number(accuracy.high, '%')}",) if wide and accuracy else ()
        table.add_row(name, _value(accuracy, "%"), *interval, _value(usd, "usd"), _percent(differing))
    screen.print()
    screen.print(table)
    if any(report.unpriced for report in reports):
        screen.print("Requests whose price or tokens are not known are not in the USD.", style="dim")


def _estimates(screen: "Console", report: Report) -> None:
    rows: list[tuple[str, Compared, str]] = [("accuracy, read-out", report.readout, "%")]
    if report.audit is not None and report.audit.difference is not None:
        rows.append(("accuracy, audit", Compared(None, None, report.audit.difference), "%"))
    if report.snips_covers and report.snips is not None:
        difference = None if report.measured is None else report.snips.minus(report.measured)
        rows.append(("accuracy, SNIPS", Compared(report.measured, report.snips, difference), "%"))
    if report.doubly_robust is not None:
        rows.append(("accuracy, doubly robust", Compared(None, report.doubly_robust, None), "%"))
    rows += [("USD per 1,000", report.usd, "usd"), ("seconds per answer", report.ms, "s")]
    if screen.width >= NARROW:
        from router.commands.terminal import table_of

        table = table_of(("", "logged", "other", "difference", "90% interval"), text=(0,))
        for name, of, unit in rows:
            low_high = "" if of.difference is None else _interval(of.difference, unit)
            table.add_row(name, _value(of.logged, unit), _value(of.other, unit), _signed(of.difference, unit), low_high)
        screen.print(table)
        return
    for name, of, unit in rows:
        screen.print(f"[bold]{name}[/]")
        if of.logged is not None or of.other is not None:
            screen.print(f"  {_value(of.logged, unit)} logged, {_value(of.other, unit)} other")
        if of.difference is not None:
            screen.print(f"  {_signed(of.difference, unit)}, 90% interval {_interval(of.difference, unit)}")


def _notes(screen: "Console", report: Report) -> None:
    notes = []
    if report.audit is not None:
        audit = report.audit
        notes.append(
            f"Audit: {audit.graded} of {audit.planned} planned pairs graded, for {audit.usd:.4f} USD. {audit.note}".strip()
        )
    if report.why_no_snips:
        notes.append(f"No SNIPS: {report.why_no_snips}.")
    if report.unpriced:
        notes.append(f"{report.unpriced:,} requests are not in the USD: a price or their tokens are not known.")
    if report.untimed:
        notes.append(f"{report.untimed:,} requests are not in the seconds: a model has answered too seldom.")
    if notes:
        screen.print()
    for note in notes:
        screen.print(note, style="dim")


def _models(screen: "Console", report: Report) -> None:
    from router.commands.terminal import table_of

    table = table_of(("model", "logged", "other"), text=(0,))
    shown = sorted(report.models.items(), key=lambda item: -max(item[1]))
    for name, shares in shown[:MODELS]:
        table.add_row(_escaped(name), *map(_percent, shares))
    screen.print()
    screen.print(table)
    if len(shown) > MODELS:
        screen.print(f"{len(shown) - MODELS} more models have smaller shares.", style="dim")


def _period(report: Report) -> str:
    since, until = (
        None if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
        for at in (report.since, report.until)
    )
    return f"from {since or 'the first one'} to {until or 'now'}"


def _value(of: Estimate | None, unit: str) -> str:
    return "–" if of is None else _number(of.value, unit)


def _signed(of: Estimate | None, unit: str) -> str:
    return "–" if of is None else _number(of.value, unit, sign=True)


def _interval(of: Estimate, unit: str) -> str:
    return f"{_number(of.low, unit, sign=True)} to {_number(of.high, unit, sign=True)}"


def _number(value: float, unit: str, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    match unit:
        case "%":
            return f"{100 * value:{plus}.1f}{'' if sign else '%'}"
        case "usd":
            return f"{1000 * value:{plus}.3f}"
        case _:
            return f"{value / 1000:{plus}.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))
