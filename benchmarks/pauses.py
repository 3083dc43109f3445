"""The longest pause of the event loop, as the gateway's own monitor sees it, while other things happen under load.

    .venv/bin/python -m benchmarks.pauses

Eight connections send routed requests all the time. On a machine with other work a pause may be that of the whole process: the
first row shows those.
"""

import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import machine, servers
from benchmarks.load import begin, end
from benchmarks.parts import images
from benchmarks.run import say, table

CONNECTIONS = 8
LARGE_MB = 10
_BUCKET = re.compile(r'locus_event_loop_pause_seconds_bucket\{.*?le="([0-9.e+-]+|\+Inf)"\} (\S+)')


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of each row.")
def main(seconds: float) -> None:
    """Measure the pauses."""
    core, rest = machine.cores()
    if rest is not None:
        os.sched_setaffinity(0, {rest})
    lines = []
    with (
        tempfile.TemporaryDirectory(prefix="locus-bench-") as name,
        servers.provider(rest) as (_, port),
    ):
        folder = Path(name)
        path = servers.write_portfolio(folder, f"http://{machine.LOCAL}:{port}/v1")
        with servers.serving(servers.gateway(path), "", core, folder / "log") as server:
            small, large = folder / "small.json", folder / "large.json"
            small.write_bytes(servers.chat_body("auto", stream=False))
            large.write_bytes(servers.chat_body("auto", stream=False, content=images(LARGE_MB)))
            end(begin(server.port, small, CONNECTIONS, 2.0))

            def send_large() -> None:
                end(begin(server.port, large, 1, seconds))

            def reload() -> None:
                text = path.read_text()
                for number in range(int(seconds / 2)):
                    path.write_text(text.replace("context_window: 131072", f"context_window: {131072 + number}", 1))
                    time.sleep(2)

            def flush() -> None:
                end(begin(server.port, small, 64, seconds))

            doings: dict[str, Callable[[], object]] = {
                "nothing": lambda: time.sleep(seconds),
                f"bodies of {LARGE_MB} MB, one after the other": send_large,
                "a changed portfolio file every 2 s": reload,
                "64 connections more, whose records are written": flush,
            }
            for what, do in doings.items():
                before = _pauses(server.port)
                load = begin(server.port, small, CONNECTIONS, seconds)
                do()
                result = end(load)
                after = _pauses(server.port)
                found = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
                total = found[float("inf")]
                longest = (
                    min((bound for bound, number in found.items() if number == total), default=0.0) if total else 0.0
                )
                lines.append([what, f"{result.answers:,}", f"{total:.0f}", f"{longest * 1000:g}", f"{result.p99:.1f}"])
                say(str(lines[-1]))
    table(["beside the load", "answers", "pauses of 2 ms and more", "the longest at most, ms", "p99, ms"], lines)


def _pauses(port: int) -> dict[float, float]:
    """The number of pauses of at most so many seconds, by these bounds."""
    with urllib.request.urlopen(f"http://{machine.LOCAL}:{port}/metrics") as answer:
        text = answer.read().decode()
    return {float(bound.replace("+Inf", "inf")): float(number) for bound, number in _BUCKET.findall(text)}


if __name__ == "__main__":
    main()
