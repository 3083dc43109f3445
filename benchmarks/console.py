"""Size and speed of the console's pages over a large record, as Chromium sees them.

    .venv/bin/python -m benchmarks.console                  # makes a record of 1,000,000 requests first, for some minutes
    .venv/bin/python -m benchmarks.console --url postgresql://…       # over one that scripts.make_record has made

Each page is opened in a new browser context, so that nothing is in its cache. `server` is the time in the gateway until it was
complete (Server-Timing), the median of several visits; `CPU` that of the gateway for one page, which other work on the machine
changes little; `pause` the longest time for which the event loop did nothing else.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import httpx
import yaml
from playwright.sync_api import Browser, sync_playwright

from benchmarks.machine import LOCAL, Process, free_port
from benchmarks.run import table
from gateway.config.database_location import DatabaseLocation
from scripts.make_record import MODELS, make_record

PAGES = {
    "overview, today": "/ui",
    "overview, month": "/ui?period=month",
    "requests": "/ui/requests",
    "requests, a key": "/ui/requests?key=file:app-3",
    "requests, errors": "/ui/requests?errors=yes",
    "requests, stand-ins of a key": "/ui/requests?key=file:app-3&stand_ins=yes",
    "requests, a model and week": "/ui/requests?model=claude-large&since=7d",
    "requests, a rare policy": "/ui/requests?policy=none",
    "requests, words in prompts": "/ui/requests?words=nowhere",
    "a request": "/ui/requests/{request}",
    "map": "/ui/map",
    "models": "/ui/models",
    "keys": "/ui/keys",
    "replay": "/ui/replay",
    "playground": "/ui/playground",
}
VISITS = 5
REQUESTS = 1_000_000
ASKED = 30  # times for the CPU of a page
FIGURES = """() => {
  const all = [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")];
  const own = all.filter((one) => one.name.includes("/ui/static/") && !one.name.includes("/vendor/"));
  const sum = (list, field) => list.reduce((total, one) => total + one[field], 0);
  return {
    requests: all.length, bytes: sum(all, "transferSize"), own: sum(own, "decodedBodySize"), page: all[0].decodedBodySize,
    server: all[0].serverTiming.find((one) => one.name === "app")?.duration ?? NaN, ready: all[0].domContentLoadedEventEnd,
  };
}"""


class Row(NamedTuple):
    """The figures of one page: bytes as they are sent, and milliseconds."""

    page: str
    requests: int
    sent_kb: float
    own_kb: float
    html_kb: float
    server_ms: float
    slowest_ms: float
    cpu_ms: float
    ready_ms: float
    pause_ms: float


@click.command(help=__doc__)
@click.option(
    "--db", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="SQLite file of such a record."
)
@click.option("--url", help="PostgreSQL database of such a record.")
def main(db: Path | None, url: str | None) -> None:
    """Prints the table."""
    if db is not None and url is not None:
        raise click.UsageError("Give one of --db and --url.")
    with tempfile.TemporaryDirectory(prefix="locus-bench-") as name:
        folder = Path(name)
        if db is None and url is None:
            db = folder / "large.db"
            asyncio.run(make_record(DatabaseLocation(db), REQUESTS))
        settings = {"record": str(db.resolve())} if db is not None else {"store": url}
        with gateway(folder, settings) as (address, process), sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
            rows = [measure(browser, address, process, name, path) for name, path in PAGES.items()]
            browser.close()
    head = [
        "page",
        "requests",
        "sent, kB",
        "own assets, kB",
        "HTML, kB",
        "server, ms",
        "slowest",
        "CPU, ms",
        "ready, ms",
        "pause, ms",
    ]
    table(head, [[row.page, *(f"{value:.0f}" for value in row[1:])] for row in rows])


@contextmanager
def gateway(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[str, Process]]:
    """A gateway with these settings; none of its models can be called."""
    models: list[dict[str, Any]] = [
        {
            "name": name,
            "embedding": "meta-llama/Llama-3.1-8B-Instruct",
            "context_window": 32_768,
            "price": {"input": price_in, "output": price_out},
            "deployments": [{"model": f"openai/{name}", "api_base": f"http://{LOCAL}:9/v1", "api_key": "none"}],
        }
        for name, price_in, price_out, *_ in MODELS
    ]
    path = folder / "portfolio.yaml"
    path.write_text(yaml.safe_dump({"models": models, "gateway": settings}))
    port = free_port()
    command = [sys.executable, "-m", "gateway.commands.main", "serve", "--config", str(path), "--port", str(port)]
    url = f"http://{LOCAL}:{port}"
    with (
        (folder / "log").open("wb") as log,
        Process(command, None, log=log) as process,
        httpx.Client(base_url=url) as http,
    ):
        for _ in range(600):
            try:
                if http.get("/health/live").status_code == 200:
                    break
            except httpx.TransportError:
                pass
        yield url, process


def measure(browser: Browser, url: str, process: Process, name: str, path: str) -> Row:
    """Opens one page several times."""
    if "{request}" in path:
        found = re.search(r'/ui/requests/([\w.:-]{6,}\?row=\d+)"', httpx.get(f"{url}/ui/requests", timeout=60).text)
        path = path.replace("{request}", found[1] if found else "")
    seen, before = [], pauses(url)
    for _ in range(VISITS):
        context = browser.new_context(base_url=url)
        page = context.new_page()
        page.goto(path, wait_until="networkidle")
        seen.append(page.evaluate(FIGURES))
        context.close()
    last = seen[-1]
    server = [one["server"] for one in seen]
    return Row(
        name,
        last["requests"],
        last["bytes"] / 1000,
        last["own"] / 1000,
        last["page"] / 1000,
        median(server),
        max(server),
        cpu_ms(f"{url}{path}", process),
        median(one["ready"] for one in seen),
        1000 * max((upper for upper, number in pauses(url).items() if number > before.get(upper, 0)), default=0),
    )


def cpu_ms(address: str, process: Process) -> float:
    """CPU of the gateway for one visit of a page, milliseconds."""
    with httpx.Client(timeout=60) as http:
        before = process.cpu_s()
        for _ in range(ASKED):
            http.get(address)
        return 1000 * (process.cpu_s() - before) / ASKED


def pauses(url: str) -> dict[float, float]:
    """How often the event loop paused, by the upper bound of the pause in seconds."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    found = re.findall(r'^locus_event_loop_pause_seconds_bucket\{le="([\d.]+)"\} ([\d.]+)', text, re.MULTILINE)
    below, counts = 0.0, {}
    for upper, number in found:
        counts[float(upper)], below = float(number) - below, float(number)
    return counts


if __name__ == "__main__":
    main()
