"""Many requests of every kind, and the gateway's memory meanwhile: it must not grow.

    .venv/bin/python -m benchmarks.endurance                # 200,000 requests; a few minutes

Chats and streams, of a named model and of `auto`, in turn. Memory after the warm-up is compared with what comes later.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import machine, servers
from benchmarks.load import begin, end
from benchmarks.run import SETTLE_S, say, table

MIX = (("m0", False), ("auto", False), ("m0", True), ("auto", True))
SLICES = 20
WARM_UP = 2  # slices
FLAT = 0.05
SLICE_S = 300.0  # which no slice needs


@click.command()
@click.option("--requests", default=200_000, show_default=True)
@click.option("--connections", default=16, show_default=True)
def main(requests: int, connections: int) -> None:
    """Send many requests and watch the memory."""
    core, rest = machine.cores()
    if rest is not None:
        os.sched_setaffinity(0, {rest})
    share = requests // SLICES // len(MIX)
    memory, rows = [], []
    with tempfile.TemporaryDirectory(prefix="locus-bench-") as name, servers.provider(rest) as (_, port):
        folder = Path(name)
        kind = servers.gateway(servers.write_portfolio(folder, f"http://{machine.LOCAL}:{port}/v1"))
        with servers.serving(kind, f"http://{machine.LOCAL}:{port}/v1", core, folder / "log") as server:
            rows.append(["0", f"{server.process.rss_mb():.1f}", ""])
            say(f"requests 0: {rows[-1][1]} MB")
            for number in range(SLICES):
                cpu, started = server.process.cpu_s(), time.monotonic()
                for model, stream in MIX:
                    body = folder / "body.json"
                    body.write_bytes(servers.chat_body(model, stream=stream))
                    result = end(begin(server.port, body, connections, SLICE_S, stream=stream, requests=share))
                    if result.wrong or result.answers != share:
                        sys.exit(
                            f"{result.wrong} wrong answers, {result.answers} right ones of {share}: {result.sample}"
                        )
                took = time.monotonic() - started
                time.sleep(SETTLE_S)
                memory.append(server.process.rss_mb())
                each = (server.process.cpu_s() - cpu) / share / len(MIX) * 1000
                done = (number + 1) * share * len(MIX)
                rows.append([f"{done:,}", f"{memory[-1]:.1f}", f"{each:.3f}"])
                say(f"requests {done:,}: {memory[-1]:.1f} MB, {took:.0f} s")
    table(["requests", "RSS MB", "CPU ms each"], rows)
    warm = memory[WARM_UP - 1]
    growth = max(abs(mb / warm - 1) for mb in memory[WARM_UP:])
    click.echo(f"\nafter the warm-up memory changed by at most {growth:.1%}")
    if growth > FLAT:
        sys.exit(f"that is more than {FLAT:.0%}")


if __name__ == "__main__":
    main()
