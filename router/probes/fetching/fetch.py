"""Makes a bank of a public benchmark: fetches rows, makes probes of them, adds the known difficulty, writes the file."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from router.probes.fetching.benchmarks import Benchmark, described, identifier
from router.probes.fetching.rows import FetchError, Server, pages
from router.probes.probe import Probe, save_bank


async def fetch(
    server: Server,
    benchmark: Benchmark,
    most: int | None,
    advance: Callable[[int, str], None] = lambda done, note: None,
) -> list[Probe]:
    """The probes of a benchmark, at most so many, in the order of the data set.

    Of more, those whose difficulty is known are kept first, else a random choice, the same each time.

    Args:
        advance: is told how many probes there are, after each page.

    Raises:
        FetchError: see `pages`; also if no row can be checked.
    """
    probes: list[Probe] = []
    each = None if most is None else -(-most * benchmark.rows_per_probe // len(benchmark.parts))
    for part in benchmark.parts:
        async for page in pages(server, benchmark.dataset, part.config, part.split, each):
            made = (benchmark.probe(row, identifier(benchmark, part, number)) for number, row in page.rows)
            probes += [probe for probe in made if probe is not None]
            advance(len(probes), part.config)
    if not probes:
        raise FetchError(f"{benchmark.dataset} at {server.url}: no row that can be checked")
    probes = with_difficulty(probes)
    if most is None or len(probes) <= most:
        return probes
    drawn = random.Random(0).sample(range(len(probes)), len(probes))
    drawn.sort(key=lambda i: probes[i].known_models == 0)
    return [probes[i] for i in sorted(drawn[:most])]


def with_difficulty(probes: Sequence[Probe]) -> list[Probe]:
    """The probes, each with its difficulty where known models were asked its question."""
    from router.probes.difficulty import known_difficulty, query_key

    difficulty, models = known_difficulty([query_key(probe.query) for probe in probes])
    return [
        replace(probe, difficulty=round(float(e), 4), known_models=int(n)) if n else probe
        for probe, e, n in zip(probes, difficulty, models, strict=True)
    ]


def save_fetched(folder: Path, benchmark: Benchmark, probes: list[Probe]) -> Path:
    """Writes `NAME.jsonl` and, beside it, `NAME.source.json` with the page and the licence; returns the path of the bank.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark.name}.jsonl"
    save_bank(path, probes)
    (folder / f"{benchmark.name}.source.json").write_text(json.dumps(described(benchmark), indent=2) + "\n", "utf-8")
    return path
