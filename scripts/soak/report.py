"""The figures of a soak, and what was broken."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from scripts.soak.clients import APIS, Clients
from scripts.soak.gateway_process import Gateway
from scripts.soak.reconciliation import Reconciliation


def report(console: Console, found: Reconciliation, gateway: Gateway, clients: Clients) -> None:
    """Prints both; each broken invariant on a line that begins with BROKEN."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    figures = found.figures

    def row(name: str, value: object) -> None:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))

    row("requests", len(found.seen))
    row("  whole answers", figures["complete"])
    for api in APIS:
        row(f"    of {api}", figures[f"whole answers by {api}"])
    row("    through litellm", figures["whole answers through litellm"])
    row("    answered by a stand-in", figures["answered by a stand-in"])
    row("    retried on the same deployment", figures["retried on the same deployment"])
    row("    streams joined from several models", figures["joined from several models"])
    row("  explicit errors", figures["error"])
    for status, number in sorted(Counter(s.status or 0 for s in found.seen if s.end == "error").items()):
        row(f"    {status}", number)
    row("  streams ended by an error event", figures["broken"])
    row("  left by the client", figures["left"])
    row("  turned away while the gateway restarted, not accepted", figures["turned away by the restart"])
    row("  cut, doubled or mixed up as a success", figures["false"])
    row("records", len(found.records))
    row("  tokens exactly as billed", figures["tokens exactly as billed"])
    row("  tokens estimated, or the last ones not arrived", figures["tokens estimated"])
    row("upstream calls", len(found.billed))
    faults = Counter(call.fault for call in found.billed if call.fault)
    row("  with a fault", faults.total())
    row("  kinds of faults", len(faults))
    row("portfolio files put in force while running", gateway.reloads)
    row("connections refused during the restart, tried again", clients.refused)
    times = sorted(s.seconds for s in found.seen if s.end == "complete")
    if times:
        middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
        row("seconds to a whole answer: median, 99%", f"{middle:.2f}, {late:.2f}")
    row("longest pause of the event loop, ms", f"{max(gateway.pauses_s, default=0.0) * 1000:.0f}")
    for number, memory in enumerate(gateway.memory_mb, start=1):
        if memory:
            fifths = [memory[min(len(memory) - 1, len(memory) * i // 5)] for i in range(6)]
            row(f"memory of start {number}, MB", " ".join(f"{mb:.0f}" for mb in fifths))
    console.print(table)
    for invariant, cases in found.broken.items():
        console.print(f"[red]BROKEN[/] {invariant}: {len(cases)}", highlight=False)
        for case in cases[:5]:
            console.print(f"   {case}", highlight=False, markup=False)
    if not found.broken:
        console.print("[green]every invariant held[/]")
