"""Random faults under load: does every request end in a whole answer or an honest error, and is it in the books once?

    make soak MINUTES=10   or        .venv/bin/python -m scripts.soak --minutes 10 --seed 1

Starts providers that fail in every way that `tests.faults.provider` knows, `locus serve` as users start it, and 50
clients. Meanwhile the gateway's disk is full for a while, and the gateway is restarted once. At the end what the clients
saw, what the gateway recorded and what the providers billed are laid side by side; a broken invariant gives exit status 1.
What is promised is in docs/reliability.md.
"""

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import re
import resource
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import openai
import orjson
import yaml
from rich.console import Console
from rich.table import Table

from gateway.log import read_last
from tests.faults.provider import Persona, broken, by_mode, page, play, prompt_tokens
from tests.gateway.running import EMBEDDINGS
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, error, reply, silent

ROOT = Path(__file__).parent.parent
CLIENTS = 50
NONCE = re.compile(r"soak-[0-9a-f]{16}")
LIMITS = {"timeout": 6.0, "connect_timeout": 1.0, "first_token_timeout": 1.5, "idle_timeout": 1.0}
CLIENT_TIMEOUT_S = 90.0
GROWTH_MB = 40.0  # of the gateway's memory between a quarter of a process's life and its end; more is a leak
DISK_FULL = 1024  # bytes that a file may have while the disk is full


# The text of an answer follows from the nonce in the question, so that everybody can tell whether it is whole.


def answer_text(nonce: str) -> str:
    """The answer that most providers give to a question with this nonce: 10 to 59 numbered words."""
    words = 10 + int(hashlib.sha256(nonce.encode()).hexdigest(), 16) % 50
    return f"{nonce} says " + " ".join(f"w{i}" for i in range(words)) + f" and that is all of {nonce}."


def other_text(nonce: str) -> str:
    """The answer of the provider that always begins differently."""
    words = 10 + int(hashlib.sha256(nonce[::-1].encode()).hexdigest(), 16) % 50
    return f"In other words, {nonce} holds " + " ".join(f"v{i}" for i in range(words)) + f" until {nonce} ends."


def whole(nonce: str, text: str) -> bool:
    return text in (answer_text(nonce), other_text(nonce))


# Providers


@dataclass(frozen=True)
class Character:
    """What is particular about one provider.

    Attributes:
        model: the portfolio model that it serves.
        operator: does it also refuse its key and forget its model at times? That takes it out for minutes.
        flaps: is it down for a while now and then?
    """

    name: str
    model: str
    prefill: Any = "goes on"
    other: bool = False
    usage: Any = "each"
    operator: bool = False
    flaps: bool = False


CHARACTERS = (
    Character("p0", "llama-8b"),
    Character("p1", "llama-8b", usage="last", flaps=True),
    Character("p2", "llama-70b", prefill="ignores"),
    Character("p3", "llama-70b", prefill=400, usage="last", operator=True),
    Character("p4", "mistral-7b", prefill="ignores", other=True),
)

HOWS: tuple[Any, ...] = ("close", "reset", "stall")
PLACES: tuple[Any, ...] = (
    "before headers",
    "in the headers",
    "after the headers",
    "in the body",
    "between events",
    "in a chunk",
)
BEFORE: list[tuple[str, Reply]] = [
    *((f"{status}", error(status)) for status in (500, 502, 503, 504, 529)),
    ("429", error(429)),
    ("429 retry-after 1", error(429, headers={"retry-after": "1"})),
    ("429 retry-after-ms", error(429, headers={"retry-after-ms": "200"})),
    ("429 retry-after 5", error(429, headers={"retry-after": "5"})),
    *((f"{how} {place}", broken(place, how)) for how in HOWS for place in PLACES),
    ("silence", silent()),
    ("comments", by_mode(page(b""), play([], "comments"))),
    ("html", page(b"<html><body>Bad gateway</body></html>")),
    ("no json", page(b'{"choices": [', "application/json")),
    ("empty", page(b"", "application/json")),
    ("error in a 200", reply(200, {"error": {"message": "overloaded", "type": "overloaded_error"}})),
    ("no choices", reply(200, {"object": "chat.completion"})),
    ("error event", by_mode(page(b""), play([b'data: {"error": {"message": "overloaded"}}\n\n']))),
    ("bad events", by_mode(page(b""), play([b"data: {broken\n\n"] * 5))),
    ("role only", by_mode(page(b""), play([chunk("m", {"role": "assistant"}), b"data: [DONE]\n\n"]))),
]
OPERATOR: list[tuple[str, Reply]] = [
    ("401", error(401)),
    ("404", error(404, "no such model", "model_not_found")),
    ("quota", error(429, "You exceeded your current quota", "insufficient_quota")),
]
ENDINGS: tuple[Any, ...] = (*HOWS, "half chunk", "half chunk reset", "half event", "comments", "whole")


@dataclass
class Billed:
    """One upstream call, as its provider would put it on the bill."""

    nonce: str
    provider: str
    fault: str
    ended: str
    at: float
    stream: bool
    prompt: int
    tokens: int  # of the completion, written to the gateway
    answered: bool  # did it begin an answer, rather than fail before?


class Provider:
    """One provider: its server, its character and what it would bill."""

    def __init__(self, character: Character, rate: float, seed: int) -> None:
        self.server = ScriptedProvider(self._answer)
        self._character = character
        self._rate = rate
        self._rng = random.Random(f"{seed} {character.name}")
        self._faults: dict[int, str] = {}

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        rng, character = self._rng, self._character
        nonce = self._nonce(call)
        persona = Persona(
            other_text(nonce) if character.other else answer_text(nonce),
            prefill=character.prefill,
            on=self._given(call, nonce),
            usage=character.usage,
            pause_s=rng.uniform(0.0, 0.02),
        )
        answer: Reply = persona
        if rng.random() < self._rate:
            if call.body.get("stream") and rng.random() < 0.5:
                persona.cut_after = rng.randrange(1, 40)
                persona.ending = rng.choice(ENDINGS)
                self._faults[id(call)] = f"after content: {persona.ending}"
            else:
                name, answer = rng.choice(BEFORE)
                self._faults[id(call)] = name
        elif character.operator and rng.random() < 0.002:
            name, answer = rng.choice(OPERATOR)
            self._faults[id(call)] = name
        elif rng.random() < 0.05:
            await asyncio.sleep(rng.uniform(0.0, 1.0))  # merely slow
        return await answer(call, writer)

    def bill(self) -> list[Billed]:
        return [
            Billed(
                nonce=self._nonce(call),
                provider=self._character.name,
                fault=self._faults.get(id(call), ""),
                ended=call.ended,
                at=call.at,
                stream=bool(call.body.get("stream")),
                prompt=prompt_tokens(call),
                tokens=call.tokens,
                answered=not (fault := self._faults.get(id(call), "")) or fault.startswith("after content"),
            )
            for call in self.server.calls
        ]

    async def flap(self) -> None:
        """Down for five seconds, up for twenty, and so on."""
        while True:
            await asyncio.sleep(20)
            await self.server.stop()
            await asyncio.sleep(5)
            await self.server.start()

    def _nonce(self, call: Call) -> str:
        found = NONCE.search(call.raw.decode("utf-8", "replace"))
        return found.group() if found else ""

    def _given(self, call: Call, nonce: str) -> str | None:
        """The text that a partial answer in this call is the beginning of; None: there is none."""
        given = [str(m["content"]) for m in call.body.get("messages", ()) if m.get("role") == "assistant"]
        texts = (answer_text(nonce), other_text(nonce))
        return next((text for text in texts if given and text.startswith(given[-1])), None)


async def run_providers(rate: float, seed: int, bill: Path) -> None:
    """The providers' own process: says its addresses on stdout, and writes its bill when it is told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    providers = [Provider(character, rate, seed) for character in CHARACTERS]
    async with AsyncExitStack() as stack:
        for provider in providers:
            await stack.enter_async_context(provider.server)
        print(orjson.dumps([provider.server.base_url for provider in providers]).decode(), flush=True)
        flapping = [
            asyncio.create_task(provider.flap())
            for provider, character in zip(providers, CHARACTERS, strict=True)
            if character.flaps
        ]
        await stop.wait()
        for task in flapping:
            task.cancel()
    with bill.open("wb") as file:
        for provider in providers:
            for billed in provider.bill():
                file.write(orjson.dumps(asdict(billed)) + b"\n")


# The gateway


class Gateway:
    """`locus serve` as a process, its memory over time, and what an operator does to it."""

    def __init__(self, folder: Path, base_urls: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.record = folder / "record.db"
        self.memory_mb: list[list[float]] = []  # per process
        self.exits: list[int] = []
        self.stop_s: list[float] = []
        self._log = folder / "gateway.log"
        self._config = folder / "portfolio.yaml"
        self._config.write_text(yaml.safe_dump(self._portfolio(base_urls), allow_unicode=True))
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def _portfolio(self, base_urls: list[str]) -> dict[str, Any]:
        models = []
        for name, embedding in EMBEDDINGS.items():
            deployments = [
                {"model": f"openai/{c.name}", "api_base": url, "api_key": "os.environ/SOAK_KEY"} | LIMITS
                for c, url in zip(CHARACTERS, base_urls, strict=True)
                if c.model == name
            ]
            models.append(
                {"name": name, "embedding": embedding, "deployments": deployments, "context_window": 8192}
                | {"price": {"input": 1.0, "output": 2.0}, "capabilities": []}
            )
        return {"models": models, "gateway": {"record": str(self.record), "cool_down": 1.0, "max_cool_down": 5.0}}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from gateway.cli import main; main()", "serve"),
            *("--config", str(self._config), "--port", str(self.port)),
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "SOAK_KEY": "sk-soak"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        self.memory_mb.append([])
        self._tasks += [asyncio.create_task(self._keep_log(process.stderr)), asyncio.create_task(self._watch(process))]
        async with asyncio.timeout(60), httpx.AsyncClient() as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(self.url.removesuffix("/v1") + "/health/live")).status_code == 200:
                        return
                if process.returncode is not None:
                    raise click.ClickException(f"the gateway did not start; see {self._log}")
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """SIGTERM, and then its own time."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        self.exits.append(await self._process.wait())
        self.stop_s.append(time.monotonic() - began)

    def fill_disk(self, full: bool) -> None:
        """Every write beyond the first KB of a file fails while it is full: with EFBIG, as ENOSPC would need root."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (DISK_FULL if full else hard, hard))

    def rows(self) -> int:
        return len(read_last(self.record, 1 << 40)) if self.record.exists() else 0

    async def aclose(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()

    async def _keep_log(self, stderr: asyncio.StreamReader) -> None:
        with self._log.open("ab") as file:
            while line := await stderr.readline():
                file.write(line)
                file.flush()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        memory = self.memory_mb[-1]
        while process.returncode is None:
            memory += resident_mb(process.pid)
            await asyncio.sleep(1.0)


def resident_mb(pid: int) -> list[float]:
    """Resident memory of a process; empty where it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return []
    return [int(found.group(1)) / 1024] if found else []


# Clients


@dataclass
class Seen:
    """How one request ended for its client.

    Attributes:
        end: complete, error (an answer with an error status), broken (an error event in the stream), left (the client's own
            doing), unheard (the connection ended without any answer), or false (an answer that is not whole, as a success).
    """

    nonce: str
    stream: bool
    usage_asked: bool
    end: str = ""
    status: int | None = None
    detail: str = ""
    usages: list[tuple[int, int]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    at: float = 0.0
    seconds: float = 0.0


class Clients:
    """Many clients, each with one request at a time."""

    def __init__(self, url: str, seed: int) -> None:
        self.seen: list[Seen] = []
        self.refused = 0  # connections, while the gateway was away; tried again
        self._client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=CLIENT_TIMEOUT_S)
        self._seed = seed
        self._stopping = False

    async def run(self) -> None:
        async with self._client:
            await asyncio.gather(*(self._one(number) for number in range(CLIENTS)))

    def stop(self) -> None:
        """Each finishes what it has begun."""
        self._stopping = True

    async def _one(self, number: int) -> None:
        rng = random.Random(f"{self._seed} client {number}")
        while not self._stopping:
            await asyncio.sleep(rng.expovariate(1 / 0.7))
            stream = rng.random() < 0.5
            seen = Seen(f"soak-{rng.getrandbits(64):016x}", stream, stream and rng.random() < 0.5, at=time.monotonic())
            patience_s = rng.uniform(0.0, 1.5) if rng.random() < 0.08 else None
            slow = rng.random() < 0.03
            model = rng.choice(["auto", "auto:best", "auto:cheap", *EMBEDDINGS])
            began = time.monotonic()
            try:
                async with asyncio.timeout(patience_s):
                    await self._ask(seen, model, slow=slow)
            except TimeoutError:
                seen.end = "left"
            seen.seconds = time.monotonic() - began
            self.seen.append(seen)

    async def _ask(self, seen: Seen, model: str, *, slow: bool) -> None:
        question = f"Please say the whole of {seen.nonce}, word by word, and do not leave any of it out."
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if seen.usage_asked else {}
        while True:
            try:
                answer: Any = await self._client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": question}],
                    stream=seen.stream,
                    extra_headers={"x-request-id": seen.nonce},
                    **more,
                )
                break
            except openai.APITimeoutError:
                seen.end, seen.detail = "unheard", f"no answer within {CLIENT_TIMEOUT_S:.0f} s"
                return
            except openai.APIConnectionError as exc:
                if type(exc.__cause__).__name__ == "ConnectError":
                    self.refused += 1
                    await asyncio.sleep(0.2)
                    continue
                seen.end, seen.detail = "unheard", repr(exc.__cause__)
                return
            except openai.APIStatusError as exc:
                seen.end, seen.status, seen.detail = "error", exc.status_code, exc.message
                return
        seen.status = 200
        if not seen.stream:
            text, finishes = answer.choices[0].message.content or "", [answer.choices[0].finish_reason]
            seen.models = [answer.model]
            if answer.usage:
                seen.usages.append((answer.usage.prompt_tokens, answer.usage.completion_tokens))
        else:
            try:
                text, finishes = await self._read(seen, answer, slow=slow)
            except openai.APIError as exc:
                seen.end, seen.detail = "broken", exc.message
                return
            except Exception as exc:  # the connection ended: by an error of whatever HTTP library the client uses
                seen.end, seen.detail = "unheard", repr(exc)
                return
        if whole(seen.nonce, text) and finishes == ["stop"]:
            seen.end = "complete"
        else:
            seen.end, seen.detail = "false", f"finish {finishes}, {text!r}"

    async def _read(self, seen: Seen, answer: Any, *, slow: bool) -> tuple[str, list[str]]:
        text, finishes = "", []
        async with answer:
            async for part in answer:
                if part.usage:
                    seen.usages.append((part.usage.prompt_tokens, part.usage.completion_tokens))
                if part.model not in seen.models:
                    seen.models.append(part.model)
                for choice in part.choices:
                    text += choice.delta.content or ""
                    if choice.finish_reason:
                        finishes.append(choice.finish_reason)
                if slow:
                    await asyncio.sleep(0.05)
        return text, finishes


# The books


class Books:
    """Clients, record and providers side by side. `broken` lists what breaks an invariant, by invariant."""

    def __init__(
        self, seen: list[Seen], records: list[dict[str, Any]], billed: list[Billed], away: tuple[float, float]
    ) -> None:
        self.seen = seen
        self.records = records
        self.billed = billed
        self.broken: dict[str, list[str]] = {}
        self.figures: Counter[str] = Counter()
        self._away = away  # while the gateway restarted, on the clients' clock
        self._records: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            self._records.setdefault(record["request_id"], []).append(record)
        self._calls: dict[str, list[Billed]] = {}
        for call in sorted(billed, key=lambda call: call.at):
            self._calls.setdefault(call.nonce, []).append(call)

    def reconcile(self) -> None:
        for seen in self.seen:
            self.figures[seen.end] += 1
            self._ended(seen)
            self._recorded(seen)
        known = {seen.nonce for seen in self.seen}
        for nonce in self._records.keys() - known:
            self._break("no record without a request", nonce)
        for nonce in self._calls.keys() - known - {""}:
            self._break("no upstream call without a request", nonce)

    def _break(self, invariant: str, what: str) -> None:
        self.broken.setdefault(invariant, []).append(what)

    def _ended(self, seen: Seen) -> None:
        where = f"{seen.nonce} {seen.detail}"
        if seen.end == "false":
            self._break("no answer that is cut, doubled or mixed up passes for a success", where)
        if seen.end == "unheard":
            accepted = seen.nonce in self._records or seen.nonce in self._calls
            at_the_door = self._away[0] - 1 <= seen.at + seen.seconds <= self._away[1] + 1 and not accepted
            self.figures["turned away by the restart"] += at_the_door
            if not at_the_door:
                self._break("every accepted request ends in an answer or an explicit error", where)
        if seen.end == "error" and seen.status not in (429, 502, 503, 504):
            self._break("errors say what happened: 429, 502, 503 or 504", f"{seen.status} {where}")
        if seen.end == "complete" and seen.stream and len(seen.usages) != seen.usage_asked:
            self._break("usage is reported once, and only if asked for", f"{seen.usages} {where}")

    def _recorded(self, seen: Seen) -> None:
        records, calls = self._records.get(seen.nonce, []), self._calls.get(seen.nonce, [])
        where = f"{seen.nonce}: {seen.end} {seen.status}, {len(records)} records, calls {[c.ended for c in calls]}"
        if len(records) > 1 or (not records and (calls or seen.end in ("complete", "error", "broken", "false"))):
            self._break("each accepted request has one record", where)
            return
        if not records:
            return
        (record,) = records
        right = {
            "complete": record["status"] == 200 and record["error"] is None,
            "error": record["status"] == seen.status and record["error"] is not None,
            "broken": record["status"] == 200 and record["error"] is not None,
        }
        if not right.get(seen.end, True):
            self._break("the record says how it ended", f"{where}, {record['status']} {record['error']}")
        self._paid(seen, record, calls)
        if len([call for call in calls if call.tokens]) > 1 and seen.end == "complete" and seen.stream:
            self.figures["joined from several models"] += 1
        if record["chosen"] != record["served"] and seen.end == "complete":
            self.figures["answered by a stand-in"] += 1

    def _paid(self, seen: Seen, record: dict[str, Any], calls: list[Billed]) -> None:
        """The tokens of the record are those of some of the calls, each taken once."""
        paid = (record["prompt_tokens"] or 0, record["completion_tokens"] or 0)
        if seen.end in ("error", "unheard"):
            if paid != (0, 0):
                self._break("failed requests cost nothing", f"{seen.nonce} {paid}")
            return
        if paid == (0, 0) and seen.end == "left":
            self.figures["left before any token"] += 1
            return
        spent = [call for call in calls if call.answered]
        sums = {
            (sum(c.prompt for c in some), sum(c.tokens for c in some))
            for n in range(1, len(spent) + 1)
            for some in itertools.combinations(spent, n)
        }
        estimated = bool(record["usage_estimated"])
        most = (
            sum(2 * c.prompt for c in (calls if estimated else spent)),
            sum(2 * c.tokens for c in spent) + 10 * estimated,
        )
        if paid in sums:
            self.figures["tokens exactly as billed"] += 1
        elif paid[0] > most[0] or paid[1] > most[1]:
            self._break("no token is billed twice", f"{seen.nonce} {paid} of {[(c.prompt, c.tokens) for c in spent]}")
        elif estimated or seen.end == "left" or any("reset" in c.fault for c in spent):
            # A provider may say what it bills only at the end; and what it wrote last may never have arrived.
            self.figures["tokens estimated"] += 1
        else:
            self._break(
                "tokens are those that the providers billed",
                f"{seen.nonce} {seen.end} {paid} of {[(c.prompt, c.tokens, c.fault, c.ended) for c in spent]}",
            )


def grown(memory: list[float]) -> float:
    """MB between a quarter of a process's life and its end, by medians."""
    if len(memory) < 20:
        return 0.0
    fifth = max(1, len(memory) // 10)
    quarter = len(memory) // 4
    return statistics.median(memory[-fifth:]) - statistics.median(memory[quarter : quarter + fifth])


async def soak(minutes: float, rate: float, seed: int, folder: Path) -> bool:
    """Runs it all, prints the figures, and says whether every invariant held."""
    console = Console()
    seconds = minutes * 60
    bill = folder / "bill.jsonl"
    providers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.soak", "--provide", str(bill), "--rate", str(rate), "--seed", str(seed)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert providers.stdout is not None
        gateway = Gateway(folder, orjson.loads(await providers.stdout.readline()))
        try:
            await gateway.start()
            clients = Clients(gateway.url, seed)
            running = asyncio.create_task(clients.run())
            full_s = min(60.0, seconds * 0.1)
            await asyncio.sleep(seconds * 0.25)
            gateway.fill_disk(True)
            await asyncio.sleep(1.0)
            before = await asyncio.to_thread(gateway.rows)
            await asyncio.sleep(full_s)
            written_while_full = await asyncio.to_thread(gateway.rows) - before
            gateway.fill_disk(False)
            console.print(f"the disk was full for {full_s:.0f} s; {written_while_full} records were written meanwhile")
            await asyncio.sleep(seconds * 0.25 - full_s)
            went = time.monotonic()
            await gateway.stop()
            await gateway.start()
            away = (went, time.monotonic())
            console.print(f"restarted: stopped in {gateway.stop_s[-1]:.1f} s, back after {away[1] - away[0]:.1f} s")
            await asyncio.sleep(seconds * 0.5)
            clients.stop()
            await running
            await gateway.stop()
        finally:
            await gateway.aclose()
    finally:
        providers.terminate()
        await providers.wait()
    billed = [Billed(**orjson.loads(line)) for line in bill.read_bytes().splitlines()]
    books = Books(clients.seen, read_last(gateway.record, 1 << 40), billed, away)
    books.reconcile()
    if written_while_full:
        books._break("a full disk was simulated", f"{written_while_full} records written")
    if any(gateway.exits):
        books._break("SIGTERM ends the gateway in order", f"exit status {gateway.exits}")
    for memory in gateway.memory_mb:
        if grown(memory) > GROWTH_MB:
            books._break("memory is flat", f"{grown(memory):.0f} MB more")
    report(console, books, gateway, clients)
    return not books.broken


def report(console: Console, books: Books, gateway: Gateway, clients: Clients) -> None:
    """The figures, and what was broken."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    figures = books.figures

    def row(name: str, value: object) -> None:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))

    row("requests", len(books.seen))
    row("  whole answers", figures["complete"])
    row("    answered by a stand-in", figures["answered by a stand-in"])
    row("    streams joined from several models", figures["joined from several models"])
    row("  explicit errors", figures["error"])
    for status, number in sorted(Counter(s.status for s in books.seen if s.end == "error").items()):
        row(f"    {status}", number)
    row("  streams ended by an error event", figures["broken"])
    row("  left by the client", figures["left"])
    row("  turned away while the gateway restarted, not accepted", figures["turned away by the restart"])
    row("  cut, doubled or mixed up as a success", figures["false"])
    row("records", len(books.records))
    row("  tokens exactly as billed", figures["tokens exactly as billed"])
    row("  tokens estimated, or the last ones not arrived", figures["tokens estimated"])
    row("upstream calls", len(books.billed))
    faults = Counter(call.fault for call in books.billed if call.fault)
    row("  with a fault", faults.total())
    row("  kinds of faults", len(faults))
    row("connections refused during the restart, tried again", clients.refused)
    times = sorted(s.seconds for s in books.seen if s.end == "complete")
    if times:
        row(
            "seconds to a whole answer: median, 99%",
            f"{times[len(times) // 2]:.2f}, {times[len(times) * 99 // 100]:.2f}",
        )
    for number, memory in enumerate(gateway.memory_mb, start=1):
        if memory:
            tenths = [memory[min(len(memory) - 1, len(memory) * i // 5)] for i in range(6)]
            row(f"memory of gateway process {number}, MB", " ".join(f"{mb:.0f}" for mb in tenths))
    console.print(table)
    for invariant, cases in books.broken.items():
        console.print(f"[red]BROKEN[/] {invariant}: {len(cases)}", highlight=False)
        for case in cases[:5]:
            console.print(f"   {case}", highlight=False, markup=False)
    if not books.broken:
        console.print("[green]every invariant held[/]")


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(min=0.2))
@click.option(
    "--rate", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Share of calls with a fault."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep everything here.")
@click.option("--provide", type=click.Path(path_type=Path), hidden=True, help="Be the providers.")
def main(minutes: float, rate: float, seed: int, folder: Path | None, provide: Path | None) -> None:
    """Put the gateway under random faults and load, and check its books."""
    if provide is not None:
        asyncio.run(run_providers(rate, seed, provide))
        return
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        held = asyncio.run(soak(minutes, rate, seed, where))
    sys.exit(not held)


if __name__ == "__main__":
    main()
