import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import yaml

from gateway.demo.portfolio import SPACE, demo_portfolio, reachable
from gateway.demo.provider import SimulatedProvider
from gateway.demo.questions import KINDS, generate, recognise
from gateway.demo.skills import LABEL, MODELS
from gateway.portfolio import Settings
from gateway.portfolio_file import load_portfolio
from router.serving import Router
from router.space import ModelSpace
from tests.gateway.running import entry, running, write_portfolio

TOM = "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. How many miles does Tom drive in total?"
REPOSITORY = Path(__file__).parent.parent.parent


def test_questions_are_answered_by_reading_them() -> None:
    assert recognise(f"Please: {TOM} Thanks!") is not None
    assert recognise(TOM).answer == "230"  # type: ignore[union-attr]
    assert recognise("What is the capital of France?") is None
    python = next(q for q in generate(30, 5) if "def f(nums, k)" in q.prompt)
    code = python.prompt.split("\n\n", 1)[1]
    body, call = code.rsplit("\n\n", 1)
    scope: dict[str, Any] = {}
    exec(body, scope)  # the template's own formula against Python itself
    assert str(eval(call, scope)) == python.answer


def test_generation_is_seeded_distinct_and_covers_every_kind() -> None:
    questions = list(generate(300, 1))
    assert len({q.prompt for q in questions}) == 300
    assert {q.kind for q in questions} == set(KINDS)
    assert questions == list(generate(300, 1))
    assert questions != list(generate(300, 2))


def test_skills_show_in_the_answers() -> None:
    questions = list(generate(600, 3))
    for model in MODELS:
        for kind, skill in zip(KINDS, model.skill, strict=True):
            asked = [q for q in questions if q.kind == kind]
            right = np.mean([f"{LABEL} The answer is {q.answer}." == model.answer(q.prompt) for q in asked])
            assert right == pytest.approx(skill, abs=0.15)


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
        portfolio = demo_portfolio(provider.base_urls, Settings(record=tmp_path / "r.db"))
        async with running(portfolio) as run:
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
            await provider.start(stopped)
            chunks = [
                c
                async for c in await run.client.chat.completions.create(
                    model="sim-tiny", messages=[{"role": "user", "content": "hi"}], stream=True
                )
            ]
            assert "simulated model" in "".join(c.choices[0].delta.content or "" for c in chunks)


@pytest.mark.anyio
async def test_a_stopped_model_refuses_and_comes_back_at_the_same_address() -> None:
    async with SimulatedProvider(pause_s=0) as provider, httpx.AsyncClient() as http:
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
    async with SimulatedProvider() as provider, httpx.AsyncClient() as http:
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`locus serve` as a process of its own; gives it and its base URL once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port), *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean | {"PYTHONPATH": str(REPOSITORY)} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=1)
                break
            except httpx.TransportError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def test_serve_falls_back_to_the_demo_and_takes_up_a_real_portfolio(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    with served(tmp_path, "--config", str(path)) as (process, url):
        assert httpx.get(f"{url}/health/ready").json()["simulated"] is True
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": TOM}])
        assert "[simulated]" in (answer.choices[0].message.content or "")
        stopped = httpx.post(f"{url}/demo/stop/sim-math").json()["running"]
        assert stopped["sim-math"] is False
        raw = client.chat.completions.with_raw_response.create(
            model="sim-math", messages=[{"role": "user", "content": TOM}]
        )
        assert raw.headers["x-locus-stand-in"] == ModelSpace.load(SPACE).neighbors("sim-math")[0].model
        assert httpx.post(f"{url}/demo/stop/nobody").json()["error"]["code"] == "model_not_found"
        modules = Path(f"/proc/{process.pid}/maps").read_text() if Path("/proc").is_dir() else ""
        assert "libtorch" not in modules  # serving with the static encoder needs none of it
        with socket.create_server(("127.0.0.1", 0)) as listener:
            here = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            write_portfolio(tmp_path, [entry("llama-8b", here)])
            for _ in range(100):
                ready = httpx.get(f"{url}/health/ready").json()
                if not ready["simulated"]:
                    break
                time.sleep(0.1)
            assert list(ready["models"]) == ["llama-8b"]
            path.write_text("models: []")
            process.send_signal(signal.SIGHUP)
            for _ in range(50):
                ready = httpx.get(f"{url}/health/ready").json()
                if ready["reload_error"]:
                    break
                time.sleep(0.1)
            assert "models" in ready["reload_error"]
            assert list(ready["models"]) == ["llama-8b"]


def test_a_stop_writes_the_last_records(tmp_path: Path) -> None:
    from gateway.log import read_last

    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    with served(tmp_path, "--config", str(path)) as (process, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        for _ in range(3):
            client.chat.completions.create(model="auto", messages=[{"role": "user", "content": TOM}])
    assert process.returncode == 0
    assert len(read_last(tmp_path / "record.db", 10)) == 3


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
        command = [sys.executable, "-m", "gateway.cli", "serve", "--port", "0", "--config", str(path), *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("a", "http://127.0.0.1:9/v1")])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port), "--config", str(path)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert re.search(rf"cannot listen on 127.0.0.1:{port}: .*another program.*--port \d+", done.stderr)
