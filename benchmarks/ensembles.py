"""How much later an ensemble of two answers than the slower of its members, where both agree.

    .venv/bin/python -m benchmarks.ensembles

A provider answers for three models after fixed times. Requests alternate between the policy `panel` and the slower member by name,
so that what else the machine does affects both alike.
"""

import asyncio
import contextlib
import http.client
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import click
import orjson
import yaml

from benchmarks.machine import LOCAL, Process, free_port

PEERS = {  # the shipped space predicts about the same P(correct), the first ones a little higher
    "mixtral": ("mistralai/Mixtral-8x7B-Instruct-v0.1", 0.060),
    "phi": ("microsoft/Phi-3.5-mini-instruct", 0.040),
    "qwen": ("Qwen/Qwen2-7B-Instruct", 0.050),
}
SLOWER = "mixtral"
QUESTION = "Which planet is the largest? (A) Mars (B) Jupiter (C) Venus (D) Mercury. Answer with the letter. (%d)"
ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1,
    "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 1, "total_tokens": 31},
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = orjson.dumps(ANSWER)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            asked = orjson.loads(await reader.readexactly(length))["model"]
            await asyncio.sleep(PEERS[asked][1])
            writer.write(head + body)
            await writer.drain()


async def _provide(port: int) -> None:
    async with await asyncio.start_server(_answer, LOCAL, port) as server:
        await server.serve_forever()


def _portfolio(folder: Path, port: int) -> Path:
    models = [
        {
            "name": name,
            "embedding": embedding,
            "deployments": [
                {"model": f"openai/{name}", "api_base": f"http://{LOCAL}:{port}/v1", "api_key": "sk-bench"}
            ],
            "context_window": 8_192,
            "price": {"input": 1.0, "output": 1.0},
        }
        for name, (embedding, _) in PEERS.items()
    ]
    path = folder / "portfolio.yaml"
    panel = {
        "cost_weight": 0,
        "ensemble": {"when": {"gap_below": 1, "p_below": 1}},
    }  # whatever the question's number does to P
    fields = {"models": models, "policies": {"panel": panel}, "default_policy": "panel"}
    path.write_text(yaml.safe_dump({**fields, "gateway": {"record": str(folder / "record.db")}}))
    return path


def _ms(connection: http.client.HTTPConnection, model: str, number: int) -> tuple[float, str | None]:
    """How long a request takes, milliseconds, and how many models answered it."""
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION % number}]})
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 200, response.status
    return (time.perf_counter() - began) * 1000, response.getheader("x-locus-ensemble")


def _connected(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(LOCAL, port, timeout=30)
    for _ in range(600):
        with contextlib.suppress(OSError):
            connection.connect()
            return connection
        time.sleep(0.1)
    raise click.ClickException("the gateway does not answer")


@click.command()
@click.option("--requests", default=200, show_default=True, help="Of each kind.")
def main(requests: int) -> None:
    """Measures the time of a panel of two against that of its slower member."""
    port, upstream = free_port(), free_port()
    provider = [sys.executable, "-c", f"import asyncio, benchmarks.ensembles as e; asyncio.run(e._provide({upstream}))"]
    with tempfile.TemporaryDirectory() as name, Process(provider, None):
        path = _portfolio(Path(name), upstream)
        serve = [str(Path(sys.executable).with_name("locus")), "serve", "--config", str(path), "--port", str(port)]
        with Process(serve, None):
            connection = _connected(port)
            for number in range(20):
                _ms(connection, "auto:panel", number)
            panel, alone = [], []
            for number in range(requests):
                alone.append(_ms(connection, SLOWER, number)[0])
                took, ensemble = _ms(connection, "auto:panel", number)
                assert ensemble is not None
                assert ensemble.startswith("agreed 2/2"), ensemble
                panel.append(took)
    for what, values in (("slower member alone", alone), ("panel of two", panel)):
        click.echo(f"{what:<20} p50 {median(values):6.2f} ms   p95 {quantiles(values, n=20)[-1]:6.2f} ms")
    click.echo(f"difference of the p50: {median(panel) - median(alone):.2f} ms")


if __name__ == "__main__":
    main()
