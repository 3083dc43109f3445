"""Pictures of the console's pages for docs/console.md, from a demo gateway that answers some hundred questions first.

    python -m scripts.make_screenshots            # needs Chromium, and the packages of `make test-ui`

Every page is taken at the width of a desktop, some at that of a phone and in dark colours.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
from playwright.sync_api import Page, sync_playwright

from gateway.demo.questions import TEMPLATES

OUT = Path(__file__).parents[1] / "docs" / "images" / "console"
DESKTOP, PHONE = (1280, 800), (390, 844)
QUESTIONS = 240
EVERYDAY = (
    "Why is the sky blue?",
    "Write a polite e-mail that declines an invitation.",
    "Design a distributed rate limiter.",
    "What is the capital of France?",
    "Translate 'good morning' into Japanese.",
)
POLICIES = ("auto", "auto", "auto", "auto:best", "auto:cheap", "auto:panel")


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        path: the address of the page; `{request}` stands for the id of a request with a stand-in.
        prepare: is done on the page before the picture.
    """

    name: str
    path: str
    size: tuple[int, int] = DESKTOP
    dark: bool = False
    prepare: Callable[[Page], object] = lambda page: None


def ask(page: Page) -> None:
    """Two models answer a question of the playground side by side."""
    page.get_by_role("button", name="Compare with another model").click()
    page.locator("textarea").first.fill("Find the remainder when $7^{23}$ is divided by $31$.")
    page.get_by_role("button", name="Send").click()
    page.wait_for_timeout(2500)


def type_query(page: Page) -> None:
    """The map shows who would answer."""
    page.get_by_label("Who would answer this?").fill("Write a Python function that merges two sorted lists.")
    page.wait_for_timeout(1500)


def replay(page: Page) -> None:
    """What other cost weights would have given."""
    page.get_by_role("button", name="Replay", exact=True).click()
    page.locator("svg.chart").first.wait_for(timeout=60_000)


SHOTS = (
    Shot("overview", "/ui"),
    Shot("overview-phone", "/ui", PHONE),
    Shot("requests", "/ui/requests"),
    Shot("request", "/ui/requests/{request}"),
    Shot("map", "/ui/map", prepare=type_query),
    Shot("map-dark", "/ui/map", dark=True),
    Shot("models", "/ui/models"),
    Shot("keys", "/ui/keys"),
    Shot("replay", "/ui/replay", prepare=replay),
    Shot("playground", "/ui/playground", prepare=ask),
    Shot("playground-phone", "/ui/playground", PHONE),
)


@click.command(help=__doc__)
@click.option("--only", multiple=True, metavar="NAME", help="These pictures only.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(only: Sequence[str], out: Path) -> None:
    """Takes the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as url:
        use(url)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for shot in SHOTS:
                if only and shot.name not in only:
                    continue
                context = browser.new_context(
                    base_url=url,
                    viewport={"width": shot.size[0], "height": shot.size[1]},
                    color_scheme="dark" if shot.dark else "light",
                )
                take(context.new_page(), shot, url, out)
                context.close()
            browser.close()


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """A demo gateway in a folder; gives its URL."""
    command = [sys.executable, "-m", "gateway.commands.main", "serve", "--demo", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"listening on (http://\S+)", line):
                    break
            else:
                raise RuntimeError("the demo did not start")
            with ThreadPoolExecutor(1) as pool:  # else the pipe is full once the gateway has logged enough
                pool.submit(process.stderr.read)
                yield found[1]
                process.terminate()
        finally:
            process.terminate()


def use(url: str) -> None:
    """Requests of three keys with budgets, some while a model is stopped, and feedback for some answers."""
    rng = random.Random(1)
    with httpx.Client(base_url=url, timeout=60) as http:
        keys = [
            http.post("/admin/keys", json=fields).raise_for_status().json()["key"]
            for fields in (
                {"name": "support-bot", "budget": [{"usd": 60, "per": "month"}]},
                {"name": "ci", "budget": [{"usd": 20, "per": "day"}], "rpm": 600},
                {"name": "research"},
            )
        ]
        prompts = [rng.choice(TEMPLATES).ask(rng) for _ in range(QUESTIONS)] + list(EVERYDAY) * 4
        rng.shuffle(prompts)
        for number, prompt in enumerate(prompts):
            if number in (80, 120):
                http.post(f"/demo/{'stop' if number == 80 else 'start'}/sim-math").raise_for_status()
            body = {"model": rng.choice(POLICIES), "messages": [{"role": "user", "content": prompt}]}
            answer = http.post(
                "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {rng.choice(keys)}"}
            )
            if number % 6 == 0 and answer.status_code == 200:
                score = {"request_id": answer.headers["x-request-id"], "score": rng.choice((0, 1, 1))}
                http.post("/v1/feedback", json=score)


def take(page: Page, shot: Shot, url: str, out: Path) -> None:
    """Writes one picture."""
    page.goto(shot.path.replace("{request}", _with_stand_in(url)))
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)  # until charts are drawn
    shot.prepare(page)
    path = out / f"{shot.name}.png"
    page.screenshot(path=path)
    click.echo(f"{path}: {path.stat().st_size // 1024} kB")


def _with_stand_in(url: str) -> str:
    """The id of a request that a stand-in answered."""
    page = httpx.get(f"{url}/ui/requests?stand_ins=yes").text
    found = re.search(r'/ui/requests/([\w.:-]{6,}\?row=\d+)"', page)
    return found[1] if found else ""


if __name__ == "__main__":
    main()
