"""The table of `locus log`: one line per request, or two on a narrow terminal, and one below it for each failed call."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.core.client_limits import LONGEST_NAME
from gateway.core.printable import printable
from gateway.core.vocabulary import NUSD_PER_USD
from router.commands.terminal import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 100  # columns; on a narrower terminal, each request takes two lines
REASON_CHARS = 300
HEADERS = ("time", "asked", "answered by", "p", "tokens", "USD", "ms", "own", "status")
# Of columns whose width may not depend on what comes later.
WIDTHS = {"time": 11, "p": 4, "tokens": 12, "USD": 9, "ms": 7, "own": 6}


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one request, with rich's markup; names are escaped.

    Attributes:
        below: one more line per failed attempt and per deployment that continued the stream; each with its tokens or nothing.
    """

    time: str
    asked: str
    served: str
    p: str
    tokens: str
    usd: str
    ms: str
    own: str
    status: str
    below: tuple[tuple[str, str], ...]


class LogTable:
    """Prints batches of requests.

    Args:
        reasons: with the providers' own words for failed calls.
        fixed: the widths do not depend on the content, so that several batches make one table.
    """

    def __init__(self, *, reasons: bool, fixed: bool) -> None:
        self._reasons = reasons
        self._fixed = fixed
        self._begun = False

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Print requests."""
        screen = console()
        shown = [_in_words(row, reasons=self._reasons) for row in rows]
        if screen.width < NARROW or self._reasons:  # a provider's words need the whole width
            for one in shown:
                _print_narrow(screen, one)
        elif shown or not self._begun:
            screen.print(self._table(shown))
        self._begun = True

    def _table(self, shown: list[_Cells]) -> "Table":
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False, show_header=not self._begun, expand=self._fixed)
        for header in HEADERS:
            width = WIDTHS.get(header) if self._fixed else None
            ratio = 1 if self._fixed and header not in WIDTHS else None
            table.add_column(header, overflow="fold", no_wrap=header in WIDTHS, width=width, ratio=ratio)
        for one in shown:
            table.add_row(one.time, one.asked, one.served, one.p, one.tokens, one.usd, one.ms, one.own, one.status)
            for what, tokens in one.below:
                table.add_row("", "", what, "", tokens)
        return table


def _print_narrow(screen: "Console", one: _Cells) -> None:
    from rich.padding import Padding

    screen.print(f"{one.time}  {one.asked} → {one.served}  {one.status}")
    screen.print(Padding(f"p {one.p}, {one.tokens} tokens, {one.usd} USD, {one.ms} ms, own {one.own}", (0, 0, 0, 4)))
    for what, tokens in one.below:
        screen.print(Padding(f"{what} {tokens}".rstrip(), (0, 0, 0, 4)))


def _in_words(row: dict[str, Any], *, reasons: bool) -> _Cells:
    served = _name(row["served"])
    if row["served"] is not None and row["served"] != row["chosen"]:
        far = "" if row["stand_in_distance"] is None else f"{row['stand_in_distance']:.2f} "
        served = f"[yellow]{served}, {far}from {_name(row['chosen'])}[/]"
    if row["simulated"] and row["served"] is not None:
        served += " [magenta](simulated)[/]"
    ensemble = row["ensemble"]
    if ensemble is not None:
        served += f" [cyan]({_name(ensemble['result'])}, {ensemble['agreed']} of {ensemble['answered']})[/]"
    if row["cache"] == "hit":
        served += " [green](cache)[/]"
    caller = row["key_id"] if row["api"] == "probe" else row["key_name"]
    below = []
    for attempt in row["failover"] or []:
        status = "" if attempt["status"] is None else f" {attempt['status']}"
        late = " after content" if attempt.get("after_content") else ""
        why = f": {_text(attempt['reason'], REASON_CHARS)}" if reasons and attempt.get("reason") else ""
        skipped = "" if attempt.get("called", True) else "not called: "
        below.append(
            (f"[dim]{_name(attempt['deployment'])} {skipped}{_name(attempt['cause'])}{status}{late}{why}[/]", "")
        )
    if ensemble is not None:
        below += [(_member(one), "") for one in ensemble["members"]]
        below += [(f"[dim]{_name(one['model'])} judged{_cost(one['usd'])}[/]", "") for one in ensemble.get("judge", [])]
    for part in (row["parts"] or [])[1:] if ensemble is None else []:
        tokens = f"{part['prompt_tokens']}+{part['completion_tokens']}"
        below.append((f"[yellow]{_name(part['deployment'])} continued[/]", tokens))
    return _Cells(
        _time(datetime.fromtimestamp(row["time"])),
        # The model as the client wrote it, and the name of its key; of a probe, who asks it.
        _name(row["requested"]) + (f" [dim]({_name(caller)})[/]" if caller else ""),
        served,
        _number(row["p_correct"], ".2f"),
        "-" if row["prompt_tokens"] is None else f"{row['prompt_tokens']}+{row['completion_tokens']}",
        "-" if row["cost_nusd"] is None else f"{row['cost_nusd'] / NUSD_PER_USD:.6f}",
        _number(row["latency_ms"], ".0f"),
        _number(row["overhead_ms"], ".1f"),
        f"[red]{row['status']} {_name(row['error'])}[/]" if row["error"] else str(row["status"]),
        tuple(below),
    )


def _member(one: dict[str, Any]) -> str:
    """What a member of an ensemble did, and its cost."""
    did = "no vote" if one["vote"] is None else f"vote {one['vote']}"
    if one.get("failed"):
        did = _name(one["failed"])
    elif one["author"]:
        did += ", author"
    return f"[dim]{_name(one['model'])} p {one['p_correct']:.2f}: {did}{_cost(one['usd'])}[/]"


def _cost(usd: float | None) -> str:
    return "" if usd is None else f", {usd:.6f} USD"


def _time(arrived: datetime) -> str:
    """The time of day, and before it the date unless it is today."""
    today = arrived.date() == datetime.now().date()
    return arrived.strftime("%H:%M:%S" if today else "%m-%d %H:%M")


def _name(text: str | None) -> str:
    """Returns a name that is safe to print on a terminal, whatever a client wrote."""
    return _text(text, LONGEST_NAME) if text else "-"


def _text(text: str, most: int) -> str:
    from rich.markup import escape

    return escape(printable(text[:most]))


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
