"""`locus probes`: the commands of `router.commands.probes`, and `from-log`, which reads the record."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.database import database_of, reading
from gateway.commands.since import Since
from router.commands.probes import probes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.json_types import JsonObject
    from router.probes.probe import Probe

__all__ = ["probes"]

LEAST_CHARACTERS = 16  # "go on" is no question
KIND = "traffic"


@probes.command("from-log")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Bank file to write.")
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file that names the record.")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option("-n", "--number", default=200, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--since", type=Since(), help="A duration such as 30d, or a date such as 2026-11-01.")
@click.option("--rubric", default="", help="By what the judge decides.  [default: right and complete]")
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(1), help="Room for an answer.")
def from_log(
    out: Path, config: Path | None, db: Path | None, number: int, since: float | None, rubric: str, max_tokens: int
) -> None:
    """Write the last different questions of the record as a bank that a judge model grades.

    Needs `store_prompts: true`. Only questions that begin a conversation count: a later one means nothing alone. The file holds
    prompts of your users and is readable by you only.
    """
    from gateway.record.reading import stored_prompts

    with reading(database_of(config, db)) as connection:
        found = judged_probes(stored_prompts(connection, since), number, rubric, max_tokens)
    if not found:
        raise click.ClickException(
            "the record has no questions: `store_prompts: true` in the portfolio keeps the prompts of requests from now on"
        )
    _write(out, found)
    click.echo(f"{out}: {len(found)} probes, graded by a judge")


def judged_probes(
    conversations: "Iterable[list[JsonObject]]", number: int, rubric: str, max_tokens: int
) -> "list[Probe]":
    """Probes of the first questions of conversations, each text once, in the given order.

    Args:
        number: of probes, at most.
        rubric: empty for the judge's own.
    """
    from gateway.request.query_text import QUERY_MAX_CHARS, query_text
    from router.probes.checker_spec import CheckerSpec
    from router.probes.difficulty import query_key
    from router.probes.probe import Probe, default_id

    checker = CheckerSpec("judge", {"rubric": rubric} if rubric else {})
    probes: dict[int, Probe] = {}
    for messages in conversations:
        if len(probes) == number:
            break
        if sum(message["role"] not in ("system", "developer") for message in messages) != 1:
            continue
        query = query_text(messages).strip()
        if LEAST_CHARACTERS <= len(query) < QUERY_MAX_CHARS:
            probe = Probe(default_id(query), query, KIND, checker, max_tokens=max_tokens)
            probes.setdefault(query_key(query), probe)
    return list(probes.values())


def _write(path: Path, found: "list[Probe]") -> None:
    """Writes a file that only its owner can read."""
    from router.probes.probe import save_bank

    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
        save_bank(path, found)
    except OSError as exc:
        raise click.ClickException(f"{path}: cannot be written: {exc.strerror}") from exc
