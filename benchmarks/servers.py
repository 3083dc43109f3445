"""What is measured: a provider, the floor, the gateway as `locus serve` runs it, and others that the operator has."""

import contextlib
import http.client
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.load import MARK
from benchmarks.machine import LOCAL, Process, free_port
from router.model.serving import SPACE
from router.model.space import ModelSpace

ROOT = Path(__file__).parent.parent
START_S = 120.0
MODELS = 8
# 64 tokens of the encoder's, with the request's number.
QUESTION = (
    "Request %s: explain in plain words how a heat pump moves warmth from the cold air outside into a house, why that "
    "takes less electricity than heating with a wire, and from which outside temperature on it is not worth its price "
    "any more. Please name exactly one number for each of the claims."
)


_KEY = "sk-bench-of-one-team"
KEY = (f"authorization: Bearer {_KEY}",)  # for a gateway with limits


@dataclass(frozen=True)
class Limits:
    """Limits that are never reached, as the portfolio file has them."""

    name: str
    of_key: dict[str, Any]
    of_team: dict[str, Any]


BUDGET = Limits("budget", {"budget": [{"usd": 1e6, "per": "month"}]}, {})
_ALL = {"budget": [{"usd": 1e6, "per": "month"}], "rpm": 10**8, "tpm": 10**11, "max_parallel_requests": 1000}
LIMITS = Limits("limits", _ALL, _ALL)


@dataclass(frozen=True)
class Kind:
    """A kind of server.

    Attributes:
        command: `{port}` and `{upstream}` are filled in, in the headers too; None is the provider itself.
        models: name of the row -> model that is asked for.
    """

    name: str
    command: tuple[str, ...] | None
    models: dict[str, str] = field(hash=False)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    kind: Kind
    process: Process
    port: int
    headers: tuple[str, ...]
    first_200_s: float


def python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def floors() -> list[Kind]:
    """Pass-through proxies that do nothing else."""
    options = ("--host", LOCAL, "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
    return [
        Kind(name, python("uvicorn", f"benchmarks.floor:{app}", *options, "--log-level", "warning"), {name: "bench"})
        for name, app in (("bare ASGI + aiohttp", "bare"), ("Starlette + aiohttp", "starlette"))
    ]


def gateway(config: Path, headers: tuple[str, ...] = ()) -> Kind:
    """`locus serve`, asked for a model by name and for `auto`."""
    command = (str(Path(sys.executable).with_name("locus")), "serve", "--config", str(config), "--port", "{port}")
    return Kind("gateway", command, {"gateway, pinned": "m0", "gateway, auto": "auto"}, headers)


def write_portfolio(folder: Path, upstream: str, number: int = MODELS, limits: Limits | None = None) -> Path:
    """A portfolio of models of the shipped space, all served by one provider; records on, everything else as it is.

    Args:
        limits: of the one gateway key, and of its team if it has one; None: no key is needed.
    """
    known = list(ModelSpace.load(SPACE).models)
    models: list[dict[str, Any]] = [
        {
            "name": f"m{i}",
            "embedding": known[i * len(known) // number],
            "deployments": [{"model": f"openai/up-m{i}", "api_base": upstream, "api_key": "sk-bench"}],
            "context_window": 131_072,
            "price": {"input": 0.1 + 0.1 * i, "output": 0.2 + 0.2 * i},
            "capabilities": ["vision"],
        }
        for i in range(number)
    ]
    name = f"portfolio-{number}" + (f"-{limits.name}" if limits else "")
    fields: dict[str, Any] = {"models": models, "gateway": {"record": str(folder / f"{name}.db")}}
    if limits is not None:
        fields["keys"] = [{"name": "ci", "key": _KEY, **limits.of_key}]
        if limits.of_team:
            fields["keys"][0]["team"] = "build"
            fields["teams"] = [{"name": "build", **limits.of_team}]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def chat_body(model: str, *, stream: bool, content: Any = None) -> bytes:
    """A request with the place for its number."""
    fields = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": content or QUESTION % MARK.decode()},
        ],
        "temperature": 0.2,
        **({"stream": True} if stream else {}),
    }
    return orjson.dumps(fields)


@contextlib.contextmanager
def provider(core: int | None, port: int | None = None) -> Iterator[tuple[Process, int]]:
    """The provider, and its port."""
    port = port or free_port()
    with Process(python("benchmarks.provider", str(port)), core, cwd=ROOT) as process:
        body = chat_body("bench", stream=False)
        _wait(process, port, body, ())
        yield process, port


@contextlib.contextmanager
def serving(kind: Kind, upstream: str, core: int | None, log: Path, start_s: float = START_S) -> Iterator[Running]:
    """A server, from its start until the end of the block.

    Args:
        start_s: the longest time until its first answer, seconds.
    """
    assert kind.command is not None
    port = free_port()
    filled = {"port": str(port), "upstream": upstream}
    headers = tuple(header.format(**filled) for header in kind.headers)
    command = [part.format(**filled) for part in kind.command]
    # The last model is asked for: with the gateway that is `auto`, so that the router is loaded.
    body = chat_body(list(kind.models.values())[-1], stream=False)
    with log.open("ab") as out, Process(command, core, {"UPSTREAM": upstream}, out, ROOT) as process:
        try:
            first = _wait(process, port, body, headers, start_s)
        except RuntimeError as exc:
            raise SystemExit(f"{kind.name}: {exc}; the end of its log:\n{log.read_text()[-2000:]}") from exc
        yield Running(kind, process, port, headers, first)


def other(given: str, models: dict[str, str], headers: Sequence[str]) -> Kind:
    """A server of the operator's, given as `NAME=COMMAND`."""
    name, _, command = given.partition("=")
    own = tuple(header.partition("=")[2] for header in headers if header.partition("=")[0] == name)
    return Kind(name, tuple(shlex.split(command)), {name: models.get(name, "bench")}, own)


def _wait(process: Process, port: int, body: bytes, headers: Sequence[str], start_s: float = START_S) -> float:
    """Seconds from the process's start to its first good answer."""
    fields = {"content-type": "application/json"}
    for header in headers:
        name, _, value = header.partition(":")
        fields[name.strip()] = value.strip()
    last = "it never listened"
    while time.monotonic() < process.started + start_s:
        if process.ended:
            raise RuntimeError("it ended")
        connection = http.client.HTTPConnection(LOCAL, port, timeout=20)
        try:
            connection.request("POST", "/v1/chat/completions", body, fields)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status == 200 and b'"choices"' in data:
                return time.monotonic() - process.started
            last = f"{answer.status} {data[:300]!r}"
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise RuntimeError(f"no answer with 200 in {start_s:.0f} s; {last}")
