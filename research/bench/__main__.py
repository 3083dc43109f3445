"""The command `python -m research.bench`. It imports heavy packages when it runs."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from research.bench.rows import METHODS, OURS
from research.bench.tables import TABLES
from router.commands.options import DATA, ENGINE, readable_errors
from router.commands.terminal import progress_bar
from router.errors import DataError

if TYPE_CHECKING:
    from research.bench.method import Method
    from research.bench.runs import Runs
    from research.bench.tables.context import Context
    from research.bench.tuning import Tuned

NONE = "none"


@click.command()
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for bench.json and report.md.")
@click.option("--rows", "names", multiple=True, type=click.Choice(METHODS), help="Only this row; repeatable.")
@click.option(
    "--tables",
    "claims",
    multiple=True,
    type=click.Choice([*TABLES, NONE]),
    help="Only this claim table, which needs the row ours; repeatable. Default: all, if all rows are run.",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Repetitions of what is trained.")
@click.option(
    "--encoder", default="static", show_default=True, help="static, minilm, or a sentence-transformers model."
)
@ENGINE
@readable_errors
def bench(
    data: tuple[Path, ...],
    out: Path,
    names: tuple[str, ...],
    claims: tuple[str, ...],
    seeds: int,
    encoder: str,
    engine: str,
) -> None:
    """Compare routers of the literature and ours on DATA, one folder or several: tuned on `val`, measured on `test`.

    Continues a stopped run.
    """
    from research.bench.evidence import Evidence
    from research.bench.main_table import main_table
    from research.bench.ours import Ours
    from research.bench.report import main_json
    from research.bench.rows import methods
    from research.bench.runs import Runs
    from research.bench.tables.context import Context, families_of, prices_of
    from research.bench.tables.kept import Kept
    from router.data.dataset import load_datasets
    from router.encode.load import load_encoder
    from router.train.requests import Judged, judged_requests

    wanted = wanted_tables(names, claims)
    dataset, loaded = load_datasets(data), load_encoder(encoder)
    ours = Kept(Ours(Judged.encoded(judged_requests(), loaded), out / "classifiers"), out / "routers")
    chosen = methods(names, ours)
    click.echo(f"{len(dataset.models)} models, {len(dataset.prompts)} queries; encoding", err=True)
    q = loaded.encode(dataset.prompts)  # (Q, d_q)
    text_part = q[:, : loaded.text_dim].copy()  # the other rows take the text part
    text = Runs(out / "rows", Evidence.of(dataset, text_part), engine)
    full = Runs(out / "rows", Evidence.of(dataset, q), engine)
    tuned = _tune_all(chosen, seeds, lambda method: full if method.name == OURS else text)
    rows = {row.name: row for row in tuned}
    files = prices_of(data), families_of(data)
    parts = (dataset, q, loaded.text_dim, rows, ours, out / "rows", *files, loaded.encode, engine)
    tables = _tables(wanted, lambda say: Context(*parts, say), out / "tables")
    report = {
        "data": dataset.hash,
        "encoder": {"spec": loaded.spec, "hash": loaded.hash},
        **main_json(main_table(text.evidence, tuned, OURS), tuned, seeds),
        "tables": tables,
    }
    _write(out, report)
    click.echo(f"{out / 'report.md'}: {len(tuned)} rows, {len(tables)} claim tables")


def _tune_all(methods: Sequence["Method"], seeds: int, runs: Callable[["Method"], "Runs"]) -> list["Tuned"]:
    """Tunes methods in turn and shows a progress bar."""
    from research.bench.tuning import fits, tune

    done = count(1)
    with progress_bar("bench", sum(fits(method, seeds) for method in methods)) as advance:
        return [tune(runs(method), method, seeds, lambda note: advance(next(done), note)) for method in methods]


def wanted_tables(rows: Sequence[str], claims: Sequence[str]) -> list[str]:
    """The claim tables to measure, in the report's order.

    Args:
        rows: the rows to run; empty: all.
        claims: the tables that the user named; empty: all if all rows are run, else none.

    Raises:
        DataError: the user named tables, but left out the row that they are about.
    """
    if NONE in claims or (rows and not claims):
        return []
    if rows and OURS not in rows:
        raise DataError(f"claim tables are about the row {OURS}: add --rows {OURS}")
    return [name for name in TABLES if not claims or name in claims]


def _tables(
    wanted: Sequence[str], context_of: Callable[[Callable[[str], None]], "Context"], folder: Path
) -> dict[str, dict[str, Any]]:
    """Measures claim tables and shows a progress bar.

    Args:
        context_of: makes the context, given the function that reports progress.
    """
    from research.bench.tables import measure

    found: dict[str, dict[str, Any]] = {}
    if wanted:
        with progress_bar("claim tables", len(wanted)) as advance:
            context = context_of(lambda note: advance(len(found), note))
            for name in wanted:
                found |= measure(context, folder, [name])
                advance(len(found), name)
    return found


def _write(out: Path, report: dict[str, Any]) -> None:
    """Writes bench.json and report.md."""
    import json

    from research.bench.report import markdown
    from research.bench.tables import sections

    (out / "bench.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(report, sections()), encoding="utf-8")


if __name__ == "__main__":
    bench()
