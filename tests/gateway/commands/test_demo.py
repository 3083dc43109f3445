import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import httpx
import numpy as np
import openai
import pytest
import yaml
from click.testing import CliRunner

from gateway.commands.demo_portfolio import SPACE, demo_portfolio, reachable
from gateway.commands.main import main
from gateway.commands.serve_or_demo import arguments
from gateway.commands.show_log import read_last
from gateway.config.access import Access, AccessKey, Allowed, Team
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.core.identity import KeyIdentity
from gateway.demo.provider import SimulatedProvider
from gateway.demo.questions import generate
from gateway.demo.skills import MODELS
from router.model.serving import Router
from router.model.space import ModelSpace
from tests.gateway.running import entry, running, write_portfolio
from tests.ports import free_port

TOM = "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. How many miles does Tom drive in total?"
REPOSITORY = Path(__file__).parents[3]


def real(settings: Settings) -> Portfolio:
    """A portfolio whose settings and keys the demo takes."""
    access = Access(
        (AccessKey(KeyIdentity("file:a", "a", "t"), Allowed(frozenset("x")), secret=Secret("k")),), (Team("t"),)
    )
    return Portfolio(path=None, models=(), settings=settings, access=access)


def test_routing_over_the_demo_space_beats_the_best_single_model() -> None:
    router = Router.load(spaces=[SPACE])
    questions = list(generate(400, 99))
    p = router.scorer([m.name for m in MODELS]).p_correct(router.encoder.encode([q.prompt for q in questions]))
    right = np.array([[f"is {q.answer}." in m.answer(q.prompt) for m in MODELS] for q in questions])
    routed = right[np.arange(len(questions)), p.argmax(axis=1)].mean()
    assert routed > right.mean(axis=0).max() + 0.05


@pytest.mark.anyio
async def test_the_demo_end_to_end(tmp_path: Path) -> None:
    async with SimulatedProvider(pause_s=0) as provider:
        portfolio = demo_portfolio(provider.base_urls, real(Settings(record=tmp_path / "r.db")))
        async with running(portfolio, "k") as run:
            raw = await run.client.chat.completions.with_raw_response.create(
                model="auto:best", messages=[{"role": "user", "content": TOM}]
            )
            answer: Any = raw.parse()
            assert "simulated" in answer.choices[0].message.content
            assert answer.simulated is True
            assert raw.headers["x-locus-simulated"] == "true"
            assert all(m.simulated for m in (await run.client.models.list()).data[-7:])  # type: ignore[attr-defined]
            stopped = raw.headers["x-locus-model"]
            await provider.stop(stopped)
            for _ in range(8):  # before and after the breaker opens
                raw = await run.client.chat.completions.with_raw_response.create(
                    model="auto:best", messages=[{"role": "user", "content": TOM}]
                )
                assert raw.headers["x-locus-model"] == stopped
                assert raw.headers["x-locus-stand-in"] not in ("", stopped)
            told: Any = raw.parse()
            assert told.locus["simulated"] is True  # as JSON's own kinds, not as the texts of headers
            assert told.locus["p_correct"] == float(raw.headers["x-locus-p-correct"])
            await provider.start(stopped)
            chunks = [
                c
                async for c in await run.client.chat.completions.create(
                    model="sim-tiny", messages=[{"role": "user", "content": "hi"}], stream=True
                )
            ]
            assert "simulated model" in "".join(c.choices[0].delta.content or "" for c in chunks)
            for path in ("/ui/playground", "/ui/try/createChatCompletion"):
                assert "cost money" not in (await run.http.get(path)).text


@pytest.mark.anyio
async def test_a_simulated_model_reads_the_question_between_what_agents_put_around_it() -> None:
    reminder = "<system-reminder>" + "Mind the rules of the house. " * 300 + "</system-reminder>"
    for content in (
        f"{reminder}\n{TOM}\n{reminder}",
        [{"type": "text", "text": text} for text in (reminder, TOM, reminder)],
    ):
        async with SimulatedProvider(pause_s=0) as provider, httpx.AsyncClient(timeout=60) as http:
            body = {"model": "sim-math", "messages": [{"role": "user", "content": content}]}
            answered = await http.post(provider.base_urls["sim-math"] + "/chat/completions", json=body)
        assert "The answer is" in answered.json()["choices"][0]["message"]["content"]


def test_the_banner_breaks_no_word_on_a_narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = on_a_terminal(tmp_path, "--demo")
    lines = [line for line in said.splitlines() if not line.startswith("try ")]
    assert len(lines) > 4
    assert all(len(line) <= 60 for line in lines)


@pytest.mark.anyio
async def test_a_stopped_model_refuses_and_comes_back_at_the_same_address() -> None:
    async with SimulatedProvider(pause_s=0) as provider, httpx.AsyncClient(timeout=60) as http:
        url = provider.base_urls["sim-code"] + "/models"
        assert (await http.get(url)).status_code == 200
        await provider.stop("sim-code")
        with pytest.raises(httpx.ConnectError):
            await http.get(url)
        await provider.start("sim-code")
        assert (await http.get(url)).json()["data"][0]["id"] == "sim-code"
        with pytest.raises(KeyError):
            await provider.stop("sim-none")


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "sim-math"}', b'{"model": "sim-math", "messages": [1]}'])
async def test_the_provider_says_what_it_expects(body: bytes) -> None:
    async with SimulatedProvider() as provider, httpx.AsyncClient(timeout=60) as http:
        response = await http.post(provider.base_urls["sim-math"] + "/chat/completions", content=body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.anyio
async def test_what_counts_as_reachable(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    here, nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "http://127.0.0.1:9/v1"
    hosted = entry("hosted") | {"deployments": [{"model": "groq/llama-3.1-8b-instant"}], "embedding": None}
    cases = [
        ([entry("a", nowhere)], {}, False),
        ([entry("a", nowhere), entry("b", here)], {}, True),
        ([hosted], {}, False),
        ([hosted], {"GROQ_API_KEY": "x"}, True),
    ]
    for models, environment, expected in cases:
        assert await reachable(load_portfolio(write_portfolio(tmp_path, models), environment)) is expected
    listener.close()


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`locus serve` as a process of its own; gives it and its base URL once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "gateway.commands.main", "serve", "--port", str(port), *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean | {"PYTHONPATH": str(REPOSITORY)} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(1200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=60)
                break
            except httpx.TransportError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def ask(url: str, model: str) -> httpx.Response:
    return httpx.post(
        f"{url}/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": TOM}]}
    )


def test_the_demo_is_served_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    with served(tmp_path, "--config", str(path), "--demo") as (process, url):
        assert httpx.get(f"{url}/health/ready").json()["simulated"] is True
        answer = ask(url, "auto")
        assert "[simulated]" in answer.json()["choices"][0]["message"]["content"]
        assert answer.headers["x-locus-simulated"] == "true"
        for headers in ({"x-forwarded-for": "192.0.2.1"}, {"origin": "https://evil.example"}):
            assert httpx.post(f"{url}/demo/stop/sim-math", headers=headers).status_code == 403
        stopped = httpx.post(f"{url}/demo/stop/sim-math").json()["running"]
        assert stopped["sim-math"] is False
        assert ask(url, "sim-math").headers["x-locus-stand-in"] == ModelSpace.load(SPACE).neighbors("sim-math")[0].model
        assert httpx.post(f"{url}/demo/stop/sim-none").json()["error"]["code"] == "model_not_found"
        modules = Path(f"/proc/{process.pid}/maps").read_text() if Path("/proc").is_dir() else ""
        assert "libtorch" not in modules  # serving with the static encoder needs none of it
        write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")], gateway={"admin_key": "sk-admin-0123"})
        process.send_signal(signal.SIGHUP)
        for _ in range(1200):  # the settings of the file come into force, its models do not
            if httpx.get(f"{url}/metrics").status_code == 401:
                break
            time.sleep(0.05)
        ready = httpx.get(f"{url}/health/ready", headers={"authorization": "Bearer sk-admin-0123"}).json()
        assert ready["simulated"] is True
        assert len(ready["models"]) == len(MODELS)
    shown = CliRunner().invoke(main, ["log", "--config", str(path), "--demo"], terminal_width=200)
    assert "(simulated)" in shown.output
    assert all(row["simulated"] for row in read_last(tmp_path / "record-demo.db", 100))
    assert not (tmp_path / "record.db").exists()  # also after the reload
    none = CliRunner().invoke(main, ["log", "--config", str(path)])
    assert f"{tmp_path / 'record.db'}: no such record" in none.stderr


def test_the_demo_has_files_of_its_own_whatever_the_settings(tmp_path: Path) -> None:
    written = Settings(
        record=tmp_path / "a.sqlite", store=Secret("postgresql://db.example/x"), responses=tmp_path / "r.db"
    )
    demo = demo_portfolio({model.name: "http://127.0.0.1:9/v1" for model in MODELS}, real(written)).settings
    assert (demo.record, demo.store, demo.responses) == (tmp_path / "a-demo.sqlite", None, tmp_path / "r-demo.db")
    assert written.database != demo.database == DatabaseLocation(file=tmp_path / "a-demo.sqlite")
    assert Settings().of_demo().responses_database == DatabaseLocation(file=Path("locus-demo-responses.db"))
    nothing = Settings(record=None, responses=None, store=Secret("postgresql://db.example/x")).of_demo()
    assert (nothing.database, nothing.responses_database) == (None, None)


def test_a_portfolio_whose_servers_do_not_answer_yet_is_never_simulated(tmp_path: Path) -> None:
    port, more = free_port(), free_port()
    path = write_portfolio(
        tmp_path,
        [entry("llama-8b", f"http://127.0.0.1:{port}/v1"), entry("mistral-7b", f"http://127.0.0.1:{more}/v1")],
        gateway={"breaker_failures": 1, "cool_down": 600, "max_cool_down": 600},  # no waiting for the breaker alone
    )
    with served(tmp_path, "--config", str(path)) as (process, url):
        for _ in range(2):  # also after a reload
            for model in ("auto", "llama-8b"):
                refused = ask(url, model)
                assert refused.status_code == 503
                assert "llama-8b: connection" in refused.json()["error"]["message"]
                assert "x-locus-simulated" not in refused.headers
                assert "retry-after" in refused.headers
            ready = httpx.get(f"{url}/health/ready")
            assert ready.status_code == 503
            assert ready.json()["simulated"] is False
            assert httpx.post(f"{url}/demo/stop/sim-math").status_code == 404
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
        with ThreadedProvider(port):
            for _ in range(1200):
                if httpx.get(f"{url}/health/ready").status_code == 200:
                    break
                time.sleep(0.05)
            for model in ("auto", "llama-8b"):
                answer = ask(url, model)
                assert answer.status_code == 200
                assert answer.json()["choices"][0]["message"]["content"] == "real"
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=60)[1]
    assert f"127.0.0.1:{port}: connection refused" in log
    assert f"127.0.0.1:{more}: connection refused" in log
    assert log.count("connection refused") == 2  # told once
    assert f"127.0.0.1:{port} accepts connections now: llama-8b/0" in log
    assert "simulated" not in log.lower()


class ThreadedProvider:
    """A server on a fixed port that answers each chat with `real`."""

    def __init__(self, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "real"}}
                body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "There is no portfolio file: neither portfolio.yaml, config/portfolio.yaml nor "),
        (["--config", "nowhere.yaml"], 1, "nowhere.yaml: no such file"),
    ],
)
def test_without_a_portfolio_nothing_is_served(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    command = [sys.executable, "-m", "gateway.commands.main", "serve", "--port", "0", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert says in done.stderr
    assert "locus serve --demo" in done.stderr


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What a gateway says on a terminal until it listens."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway.commands.main", "serve", "--port", "0", *arguments]
    kept = {name: os.environ[name] for name in ("PATH", "COLUMNS") if name in os.environ}
    environment = kept | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stderr=theirs, stdout=theirs)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while b"next    " not in said and (more := os.read(ours, 4096)):
            said += more
    process.terminate()
    process.wait(20)
    os.close(ours)
    return said.decode()


def test_a_portfolio_that_is_named_is_never_replaced_by_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    demo = on_a_terminal(tmp_path, "--demo")
    assert "(DEMO: simulated models, no answer is real)" in demo
    for given, said in (([], "There is no portfolio file"), (["--config", "nowhere.yaml"], "no such file")):
        refused = on_a_terminal(tmp_path, *given)
        assert said in refused
        assert "DEMO" not in refused
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    for given in (["--config", str(path)], []):  # it is found in the working directory, too
        served = on_a_terminal(tmp_path, *given)
        assert "next    " in served
        assert "DEMO" not in served


def test_make_run_chooses_the_demo_only_where_no_model_can_be_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    hosted = entry("llama-8b") | {"deployments": [{"model": "openrouter/meta-llama/llama-3.1-8b-instruct"}]}
    path = write_portfolio(tmp_path, [hosted, entry("mistral-7b", "http://127.0.0.1:9/v1")])
    assert arguments(path) == ["serve", "--demo"]
    assert capsys.readouterr().err.startswith("DEMO: no key")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-0123")
    assert arguments(path) == ["serve", "--config", str(path)]
    monkeypatch.delenv("OPENROUTER_API_KEY")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = write_portfolio(tmp_path, [entry("llama-8b", f"http://127.0.0.1:{listener.getsockname()[1]}/v1")])
        assert arguments(path) == ["serve", "--config", str(path)]
    path.write_text("models: []")
    assert arguments(path) == ["serve", "--config", str(path)]  # which says what is wrong with it
    assert capsys.readouterr().err == ""


def test_a_stop_writes_the_last_records(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    with served(tmp_path, "--config", str(path), "--demo") as (process, url):
        for _ in range(3):
            ask(url, "auto")
    assert process.returncode == 0
    records = read_last(tmp_path / "record-demo.db", 10)
    assert [bool(record["simulated"]) for record in records] == [True] * 3


TOOL: Any = {"name": "read_file", "description": "Reads a file.", "parameters": {"type": "object", "properties": {}}}
LONG = "A long text in front of the question. " * 12_000  # 450 kB


@pytest.mark.anyio
async def test_the_demo_serves_agents(tmp_path: Path) -> None:
    """Tools, a large output limit and a long prompt, by each of the APIs that agents speak."""
    async with SimulatedProvider(pause_s=0) as provider:
        portfolio = demo_portfolio(provider.base_urls, real(Settings(record=None)))
        async with running(portfolio, "k") as run:
            asked: list[Any] = [{"role": "user", "content": f"{LONG}\n{TOM}"}]
            chat = await run.client.chat.completions.create(
                model="auto", messages=asked, max_tokens=32_000, tools=[{"type": "function", "function": TOOL}]
            )
            assert chat.choices[0].message.content is not None
            assert "The answer is" in chat.choices[0].message.content
            assert chat.choices[0].finish_reason == "stop"
            assert chat.usage is not None
            assert chat.usage.prompt_tokens > len(LONG) / 8  # agents see how full the window is
            async with anthropic.AsyncAnthropic(base_url=run.url, api_key="k", max_retries=0) as client:
                schema = {"type": "object", "properties": {}}
                tool: Any = {"name": "read_file", "description": "Reads a file.", "input_schema": schema}
                turns: list[Any] = [
                    *asked,
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "t1", "name": "read_file", "input": {}}],
                    },
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "empty"}]},
                    {"role": "user", "content": TOM},
                ]
                async with client.messages.stream(
                    model="auto", max_tokens=32_000, messages=turns, tools=[tool]
                ) as stream:
                    message = await stream.get_final_message()
                assert message.stop_reason == "end_turn"
                assert "The answer is" in message.content[0].text  # type: ignore[union-attr]
            function: Any = {"type": "function", "strict": False, **TOOL}
            events = [
                event
                async for event in await run.client.responses.create(
                    model="auto", input=asked, tools=[function], max_output_tokens=32_000, stream=True
                )
            ]
            assert events[-1].type == "response.completed"
            assert "The answer is" in events[-1].response.output_text


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["auto", "sim-math"])
async def test_the_demo_refuses_images_clearly(tmp_path: Path, model: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    asked: Any = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    async with SimulatedProvider(pause_s=0) as provider:
        async with running(demo_portfolio(provider.base_urls, real(Settings(record=None))), "k") as run:
            with pytest.raises(openai.BadRequestError, match=r"vision|text only"):
                await run.client.chat.completions.create(model=model, messages=asked)


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        ({"models": [entry("a", "http://127.0.0.1:9/v1")]}, ["--host", "0.0.0.0"], "loopback"),
        ({"models": []}, [], "models"),
        (
            {"models": [entry("a", "http://127.0.0.1:9/v1") | {"embedding": "meta-llama/Llama-3.1-8B-Instrukt"}]},
            [],
            "Llama-3.1-8B-Instruct",
        ),
        ({"models": [entry("a", "http://127.0.0.1:9/v1")], "checkpoint": "nowhere"}, [], "nowhere"),
    ],
)
def test_serve_refuses_with_one_clear_message(tmp_path: Path, content: Any, arguments: list[str], says: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(content))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # so that the portfolio counts as reachable
        for model in content["models"]:
            model["deployments"][0]["api_base"] = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        path.write_text(yaml.safe_dump(content))
        command = [
            sys.executable,
            "-m",
            "gateway.commands.main",
            "serve",
            "--port",
            "0",
            "--config",
            str(path),
            *arguments,
        ]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("a", "http://127.0.0.1:9/v1")])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gateway.commands.main", "serve", "--port", str(port), "--config", str(path)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert re.search(rf"cannot listen on 127.0.0.1:{port}: Address [a-z ]+: another program.*--port \d+", done.stderr)
