"""Instructions of one answer, counted by valgrind: they are the same on a busy machine, so small changes can be compared.

    .venv/bin/python -m benchmarks.instructions                            # all kinds of requests; about 4 minutes
    .venv/bin/python -m benchmarks.instructions --only pinned --requests 200

Counts what the server does outside of the kernel, with all of its threads, for a request and its record. It needs `valgrind`.
Instructions are not time: one that waits for memory counts like any other, and vectors are counted as AVX2 without AVX-512.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click

from benchmarks import machine, servers
from benchmarks.load import begin, end
from benchmarks.run import SETTLE_S, say, table

WARM = 600  # enough for what is adapted or filled at first, as the interpreter's bytecode is
FLOOR = "floor"


@dataclass(frozen=True)
class Case:
    """A kind of request, and the server that gets it."""

    name: str
    kind: servers.Kind
    model: str
    stream: bool = False


@click.command()
@click.option("--requests", default=200, show_default=True, help="That are counted, of each kind.")
@click.option("--connections", default=16, show_default=True)
@click.option("--only", multiple=True, help="Only kinds whose names contain this text.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for callgrind's files.")
def main(requests: int, connections: int, only: Sequence[str], keep: Path | None) -> None:
    """Count the instructions of one answer."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="locus-bench-")))
        _, port = stack.enter_context(servers.provider(None))
        upstream = f"http://{machine.LOCAL}:{port}/v1"
        found = [case for case in cases(folder, upstream) if not only or any(text in case.name for text in only)]
        counts: dict[str, float] = {}
        for kind in dict.fromkeys(case.kind for case in found):
            mine = [case for case in found if case.kind == kind]
            counts |= _count(mine, upstream, folder, keep or folder, requests, connections)
    floors = {stream: counts.get(f"{FLOOR}, {_shape(stream)}") for stream in (False, True)}
    rows = []
    for case in found:
        count, floor = counts[case.name], floors[case.stream]
        rows.append([case.name, f"{count:,.0f}", "" if floor is None else f"{count / floor:.2f}"])
    table(["request", "thousands of instructions", "to the floor's"], rows)


def cases(folder: Path, upstream: str) -> list[Case]:
    """What is counted."""
    floor = servers.floors()[1]
    plain = servers.gateway(servers.write_portfolio(folder, upstream))
    budget = servers.gateway(servers.write_portfolio(folder, upstream, limits=servers.BUDGET), servers.KEY)
    limits = servers.gateway(servers.write_portfolio(folder, upstream, limits=servers.LIMITS), servers.KEY)
    return [
        *(Case(f"{FLOOR}, {_shape(stream)}", floor, "bench", stream) for stream in (False, True)),
        *(Case(f"pinned {_shape(stream)}", plain, "m0", stream) for stream in (False, True)),
        *(Case(f"routed {_shape(stream)}", plain, "auto", stream) for stream in (False, True)),
        Case("pinned chat, a key with a budget", budget, "m0"),
        Case("pinned chat, a key and a team with all limits", limits, "m0"),
        Case("routed chat, a key and a team with all limits", limits, "auto"),
    ]


def _shape(stream: bool) -> str:
    return "stream" if stream else "chat"


def _count(
    found: Sequence[Case], upstream: str, folder: Path, keep: Path, requests: int, connections: int
) -> dict[str, float]:
    """Thousands of instructions of each kind of request, of one server."""
    kind = found[0].kind
    assert kind.command is not None
    keep.mkdir(exist_ok=True)
    out = keep / re.sub(r"\W+", "-", found[0].name)
    valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q")
    under = replace(kind, command=(*valgrind, *kind.command))
    counts = {}
    with servers.serving(under, upstream, None, folder / "server.log") as running:

        def control(what: str) -> None:
            command = ["callgrind_control", *what.split(), str(running.process.pid)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def send(case: Case, number: int) -> None:
            body = folder / "body.json"
            body.write_bytes(servers.chat_body(case.model, stream=case.stream))
            options = {"stream": case.stream, "requests": number, "headers": running.headers}
            result = end(begin(running.port, body, connections, 600.0, **options))
            if result.wrong or result.answers != number:
                sys.exit(f"{case.name}: {result.answers} of {number} answers were right: {result.sample}")
            time.sleep(SETTLE_S * 4)

        for number, case in enumerate(found, 1):
            send(case, WARM)
            control("-i on")
            send(case, requests)
            control("-d")
            control("-i off")
            totals = re.search(r"^totals: (\d+)", Path(f"{out}.{number}").read_text(), re.MULTILINE)
            assert totals is not None
            counts[case.name] = int(totals[1]) / requests / 1000
            say(f"{case.name}: {counts[case.name]:,.0f} thousand")
    return counts


if __name__ == "__main__":
    main()
