"""`locus probes`: lists, shows and checks banks of probes, and fetches public ones."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.commands.groups import CommandGroup
from router.commands.options import JSON, readable_errors
from router.commands.terminal import console, progress_bar, show, table_of

if TYPE_CHECKING:
    from router.probes.probe import Probe

BANK = click.argument("bank", metavar="BANK")
DEFAULT_NUMBER = 1_000


@click.group(cls=CommandGroup)
def probes() -> None:
    """Banks of questions with checkable answers, from which `locus onboard` chooses."""


@probes.command("list")
@JSON
@readable_errors
def list_(as_json: bool) -> None:
    """List the shipped bank, the user's banks, and the public benchmarks that can be fetched."""
    from router.errors import DataError
    from router.probes.fetching.benchmarks import BENCHMARKS
    from router.probes.folder import shipped_path, user_banks
    from router.probes.probe import load_bank

    rows: list[dict[str, object]] = []
    for path in (shipped_path(), *user_banks()):
        try:
            bank = load_bank(path)
        except DataError as exc:
            rows.append({"bank": path.stem, "probes": None, "kinds": None, "source": str(exc)})
            continue
        kinds = len({probe.kind for probe in bank.probes})
        source = "shipped" if path == shipped_path() else str(path)
        rows.append({"bank": bank.name, "probes": len(bank.probes), "kinds": kinds, "source": source})
    here = {row["bank"] for row in rows}
    for name, benchmark in BENCHMARKS.items():
        if name not in here:
            source = f"{benchmark.licence}; locus probes fetch {name}"
            rows.append({"bank": name, "probes": None, "kinds": None, "source": source})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = table_of(("bank", "probes", "kinds", "source"), text=(0, 3))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    show(table)


@probes.command("show")
@BANK
@click.argument("identifiers", nargs=-1, metavar="[ID...]")
@JSON
@readable_errors
def show_(bank: str, identifiers: tuple[str, ...], as_json: bool) -> None:
    """Show how many probes BANK has of each kind and checker; with ID, these probes in full."""
    from router.probes.probe import load_bank, probe_line

    loaded = load_bank(bank)
    by_id = {probe.id: probe for probe in loaded.probes}
    unknown = [item for item in identifiers if item not in by_id]
    if unknown:
        raise click.ClickException(f"{loaded.name}: no probe {unknown[0]!r}")
    chosen = [by_id[item] for item in identifiers] or list(loaded.probes)
    if as_json:
        for probe in chosen:
            click.echo(probe_line(probe))
    elif identifiers:
        click.echo("\n\n".join(_in_full(probe) for probe in chosen))
    else:
        counts = Counter((probe.kind, probe.checker.type) for probe in chosen)
        table = table_of(("kind", "checker", "probes", "known difficulty"), text=(0, 1))
        for (kind, checker), count in sorted(counts.items()):
            known = sum(p.known_models > 0 for p in chosen if (p.kind, p.checker.type) == (kind, checker))
            table.add_row(kind, checker, str(count), str(known or ""))
        show(table)


def _in_full(probe: "Probe") -> str:
    lines = [f"{probe.id}  ({probe.kind}, at most {probe.max_tokens} tokens)", *probe.query.splitlines()]
    if probe.tools:
        names = (tool["function"] for tool in probe.tools)
        lines.append(f"tools: {', '.join(str(function['name']) for function in names if isinstance(function, dict))}")
    lines.append(f"checker: {json.dumps(probe.checker.as_json(), ensure_ascii=False)}")
    lines.append(f"reference: {json.dumps(probe.reference, ensure_ascii=False)}")
    return "\n    ".join(lines)


@probes.command()
@BANK
@readable_errors
def check(bank: str) -> None:
    """Check each line of BANK, and grade each reference answer by its own checker. Exit code 1 if something is wrong."""
    from router.probes.check_bank import problems
    from router.probes.folder import bank_path

    path = bank_path(bank)
    count, found = problems(path)
    for problem in found:
        click.echo(problem, err=True)
    if found:
        raise click.ClickException(f"{path}: {len(found)} problem{'s' if len(found) > 1 else ''} in {count} probes")
    click.echo(f"{path}: {count} probes, each valid, and each reference graded as right")


@probes.command()
@click.argument("name", metavar="NAME")
@click.option(
    "-n", "--number", default=DEFAULT_NUMBER, show_default=True, type=click.IntRange(0), help="At most so many; 0: all."
)
@click.option("--endpoint", metavar="URL", help="Datasets server.  [default: that of HF_ENDPOINT, or huggingface.co]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder.  [default: ~/.local/share/locus/banks]")
@readable_errors
def fetch(name: str, number: int, endpoint: str | None, out: Path | None) -> None:
    """Fetch the public benchmark NAME from the Hugging Face hub and write it as a bank. `locus probes list` has the names.

    The token in HF_TOKEN is used where it is set. Public questions may have been trained on: an own bank tells more.
    """
    import asyncio
    import os

    from router.probes.fetching.benchmarks import BENCHMARKS
    from router.probes.fetching.fetch import fetch as fetch_bank
    from router.probes.fetching.fetch import save_fetched
    from router.probes.fetching.rows import server_from
    from router.probes.folder import user_folder

    benchmark = BENCHMARKS.get(name)
    if benchmark is None:
        raise click.BadParameter(f"{name!r} is none of {', '.join(BENCHMARKS)}", param_hint="NAME")
    server = server_from(os.environ, endpoint)
    console(stderr=True).print(f"{benchmark.name}: {benchmark.card}, licence {benchmark.licence}, from {server.url}")
    with progress_bar(benchmark.name, number or DEFAULT_NUMBER) as advance:
        fetched = asyncio.run(fetch_bank(server, benchmark, number or None, advance))
    try:
        path = save_fetched(out or user_folder(), benchmark, fetched)
    except OSError as exc:
        raise click.ClickException(f"{exc.filename}: cannot be written: {exc.strerror}") from exc
    click.echo(f"{path}: {len(fetched)} probes ({benchmark.licence})")
