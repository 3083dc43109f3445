"""The command `locus bench`. Everything heavy loads inside it."""

from pathlib import Path

import click

from router.bench.rows import METHODS
from router.cli import DATA, _progress, readable_errors


@click.command()
@DATA
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for bench.json and report.md.")
@click.option("--rows", "names", multiple=True, type=click.Choice(list(METHODS)), help="Only this row; repeatable.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Repetitions of what is trained.")
@click.option(
    "--encoder", default="static", show_default=True, help="static, minilm, or a sentence-transformers model."
)
@readable_errors
def bench(data: Path, out: Path, names: tuple[str, ...], seeds: int, encoder: str) -> None:
    """Measure routers of the literature and ours on DATA: tuned on `val`, judged on `test`. Goes on where it was stopped."""
    import json

    from router.bench.evidence import Evidence
    from router.bench.main_table import main_table
    from router.bench.report import main_json, markdown
    from router.bench.rows import OURS, methods
    from router.bench.runs import Runs
    from router.bench.tuning import fits, tune
    from router.data import load_dataset
    from router.encoder import load_encoder

    dataset, loaded, chosen = load_dataset(data), load_encoder(encoder), methods(names)
    click.echo(f"{len(dataset.models)} models, {len(dataset.prompts)} queries; encoding", err=True)
    q = loaded.encode(dataset.prompts)
    whole, text = (Runs(out / "rows", Evidence.of(dataset, part)) for part in (q, q[:, : loaded.text_dim].copy()))
    done = iter(range(1, 10**9))
    with _progress("bench", sum(fits(method, seeds) for method in chosen)) as advance:
        tuned = [
            tune(whole if method.name == OURS else text, method, seeds, lambda note: advance(next(done), note))
            for method in chosen
        ]
    found = {
        "data": dataset.hash,
        "encoder": {"spec": loaded.spec, "hash": loaded.hash},
        **main_json(main_table(text.evidence, tuned, OURS), tuned, seeds),
    }
    (out / "bench.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(found), encoding="utf-8")
    click.echo(f"{out / 'report.md'}: {len(tuned)} rows")
