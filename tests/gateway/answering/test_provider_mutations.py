"""Broken answers of providers, through a real gateway: never a 500, never a defect, never a broken answer that looks whole.

`MUTATIONS=20` tries 20 times as many as the suite does; `MUTATION='chat/text/chat: event 3: …'` tries that one alone.
"""

import asyncio
import contextlib
import logging
import os
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.gateway.mutations.answers import ANSWERS, ARGUMENTS, THOUGHT, WORDS, Answer, said
from tests.gateway.mutations.mutate import Case, cases_of, event_bytes
from tests.gateway.mutations.outcome import Odd, read
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import reset_connection

pytestmark = pytest.mark.anyio
MORE = float(os.environ.get("MUTATIONS", "1"))
ONE = os.environ.get("MUTATION", "")
AT_ONCE = 16
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}
_NUMBER = re.compile(rb"case-(\d+)-")
CALLERS = {  # the APIs of clients that get an answer of this format
    "chat": ("chat", "messages", "responses", "completions"),
    "messages": ("messages",),
    "responses": ("responses",),
    "completions": ("completions",),
    "embeddings": ("embeddings",),
}
GROUPS = [
    (answer, api, stream)
    for answer in ANSWERS
    for api in CALLERS[answer.api]
    for stream in (False, True)
    if (answer.events or not stream)
    and (answer.name == "text" or api != "completions")
    and (answer.name != "two" or api == "chat")
]


EVERYTHING = frozenset((*WORDS, *ARGUMENTS, THOUGHT))
ON = [group for group in GROUPS if group[2]]


def name_of(answer: Answer, api: str, stream: bool) -> str:
    return f"{answer.api}/{answer.name}/{api}{'/stream' * stream}"


class Provider:
    """Serves the case whose number stands in a request.

    Args:
        heals: who asks for a case once more gets it whole.
    """

    def __init__(self, cases: list[Case], *, heals: bool) -> None:
        self._cases = cases
        self._heals = heals
        self._asked: set[int] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        found = _NUMBER.search(body)
        assert found is not None, "a request of no case"
        number = int(found[1])
        case = self._cases[number]
        if self._heals and number in self._asked:
            case = good(case.answer, stream=case.stream)
        self._asked.add(number)
        writer.write(case.written())
        await writer.drain()
        if case.end == "reset":
            reset_connection(writer)
        return case.end == "keep"


def good(answer: Answer, *, stream: bool) -> Case:
    body = b"".join(map(event_bytes, answer.events)) if stream else orjson.dumps(answer.whole)
    return Case("as it should be", answer, stream, body, surely=True)


@dataclass
class Defects(logging.Handler):
    """What the gateway logged as its own fault, with the cases that were under way then."""

    under_way: set[int] = field(default_factory=set)
    found: list[tuple[str, frozenset[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        logging.Handler.__init__(self, logging.WARNING)

    __hash__ = logging.Handler.__hash__

    @contextmanager
    def watching(self) -> Iterator[None]:
        logging.getLogger().addHandler(self)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        places = getattr(record, "places", None)
        if places is not None or record.exc_info or record.levelno >= logging.ERROR:
            text = f"{record.getMessage()}\n{places or record.exc_info or ''}"
            self.found.append((text, frozenset(self.under_way)))


def request(case: Case, api: str, number: int, model: str) -> dict[str, Any]:
    text = f"case-{number}-"
    turn = [{"role": "user", "content": text}]
    asked: dict[str, dict[str, Any]] = {
        "chat": {"messages": turn},
        "messages": {"messages": turn, "max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 50}},
        "responses": {"input": text},
        "completions": {"prompt": text, "max_tokens": 100},
        "embeddings": {"input": [text, "two"]},
    }
    body = {"model": model} | asked[api]
    if case.answer.name == "call":
        schema = {"type": "object", "properties": {}}
        function = {"name": "look", "description": "x"}
        if api == "messages":
            body["tools"] = [function | {"input_schema": schema}]
        elif api == "responses":
            body["tools"] = [{"type": "function", "parameters": schema, "strict": False} | function]
        else:
            body["tools"] = [{"type": "function", "function": function | {"parameters": schema}}]
    if case.answer.name == "two":
        body["n"] = 2
    if case.stream:
        body["stream"] = True
        if api in ("chat", "completions"):
            body["stream_options"] = {"include_usage": True}
    return body


def missing(case: Case, api: str, text: str, *, goes_on: bool) -> list[str]:
    """Words of the good answer that a success lacks without reason."""
    wanted = said([event.value for event in case.answer.events]) if case.stream else said(case.answer.whole)
    if api == "completions":
        wanted -= {THOUGHT}
    # What a stand-in goes on with is all there, but for the thoughts of the first.
    lost = frozenset({THOUGHT}) if goes_on and case.never else case.lost
    return sorted(word for word in wanted - lost if word not in text)


async def tried(
    http: aiohttp.ClientSession, case: Case, api: str, number: int, model: str, *, goes_on: bool
) -> str | None:
    """What is wrong with the answer to a case; None where all is well.

    Args:
        goes_on: a broken stream may be gone on with, so that all of its text is there then.
    """
    try:
        async with http.post(PATHS[api], json=request(case, api, number, model)) as response:
            body = await response.read()
        outcome = read(api, response.status, response.headers.get("content-type", ""), body, stream=case.stream)
    except (aiohttp.ClientError, TimeoutError) as exc:
        return f"no answer: {exc!r}"
    except Odd as exc:
        return str(exc)
    if outcome.success:
        if case.never and not goes_on:
            return "looks like a success"
        if lacks := missing(case, api, outcome.text, goes_on=goes_on):
            return f"a success without {lacks}"
        return None
    return f"an error: {body[-200:]!r}" if case.surely else None


SETTINGS: dict[str, Any] = {
    "retries": 0,
    "retry_budget": 0,
    "cool_down": 0.001,  # so that no case is refused for what another one did
    "max_cool_down": 0.001,
    "record": None,
    "responses": None,
    "failover_for_named": "same_model",
}


def models(url: str, native: bool, alone: int) -> list[dict[str, Any]]:
    """`model` for most cases, and one of its own for each whose status has consequences for the deployment."""
    deployment: dict[str, Any] = {"model": "openai/up", "api_base": f"{url}/v1", "api_key": "sk-up"}
    if native:
        deployment["apis"] = ["messages", "responses", "completions"]
    claude = {"model": "anthropic/claude-x", "api_base": url, "api_key": "sk-up"}
    names = ["model", *(f"model-{i}" for i in range(alone))]
    made = [entry(name, capabilities=["tools"]) | {"deployments": [deployment]} for name in names]
    return [*made, entry("claude", capabilities=["tools"]) | {"deployments": [claude]}]


async def tried_all(
    folder: Path, cases: list[Case], api: str, *, model: str = "model", goes_on: bool = False
) -> list[str]:
    """The names of the cases that went wrong, and how."""
    cases = [*cases, good(cases[0].answer, stream=cases[0].stream)]
    alone = [i for i, case in enumerate(cases) if case.error_status and model == "model"]
    settings = SETTINGS | {"stream_recovery": "continue" if goes_on else "error"}
    wrong: list[str] = []
    defects = Defects()
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(http: aiohttp.ClientSession, number: int) -> None:
        case = cases[number]
        async with turn:
            defects.under_way.add(number)
            whom = f"model-{alone.index(number)}" if number in alone else model
            why = await tried(http, case, api, number, whom, goes_on=goes_on)
            defects.under_way.discard(number)
        if why is not None:
            wrong.append(f"{case.name}: {why}")

    async with Provider(cases, heals=goes_on).running() as url:
        vectors = {"name": "vectors", "deployments": models(url, False, 0)[0]["deployments"], "price": {"input": 1.0}}
        listed = models(url, api == cases[0].answer.api, len(alone))
        async with gateway(folder, listed, embedding_models=[vectors], gateway=settings) as run:
            timeout = aiohttp.ClientTimeout(30)
            pool = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(run.url, connector=pool, timeout=timeout) as http:
                with defects.watching():
                    await asyncio.gather(*(one(http, number) for number in range(len(cases) - 1)))
                    await one(http, len(cases) - 1)  # it still answers
    wrong += [f"defect with one of {[cases[n].name for n in sorted(those)]}: {text}" for text, those in defects.found]
    return wrong


def chosen(group: str, cases: list[Case], count: int) -> list[Case]:
    """The cases of this run: the same each time."""
    if ONE:
        found = [case for case in cases if f"{group}: {case.name}" == ONE]
        if not found:
            pytest.skip("another mutation is asked for")
        return found
    return random.Random(group).sample(cases, min(len(cases), int(count * MORE)))


def report(group: str, wrong: list[str], cases: list[Case]) -> None:
    assert not wrong, f"{len(wrong)} of {len(cases)} in {group}:\n" + "\n".join(f"{group}: {line}" for line in wrong)


@pytest.mark.parametrize(("answer", "api", "stream"), GROUPS, ids=[name_of(*group) for group in GROUPS])
async def test_a_broken_answer_is_put_right_or_told_as_an_error(
    tmp_path: Path, answer: Answer, api: str, stream: bool
) -> None:
    group = name_of(answer, api, stream)
    cases = chosen(group, cases_of(answer, stream=stream), 110 if stream else 60)
    report(group, await tried_all(tmp_path, cases, api, model="vectors" if api == "embeddings" else "model"), cases)


@pytest.mark.parametrize(("answer", "api", "stream"), ON, ids=[name_of(*group) for group in ON])
async def test_a_broken_stream_goes_on_without_a_loss(tmp_path: Path, answer: Answer, api: str, stream: bool) -> None:
    group = f"{name_of(answer, api, stream)}/goes on"
    cases = chosen(group, cases_of(answer, stream=stream), 40)
    report(group, await tried_all(tmp_path, cases, api, goes_on=True), cases)


@pytest.mark.parametrize(
    ("answer", "stream"),
    [(answer, stream) for answer in ANSWERS if answer.api == "messages" for stream in (False, True)],
)
async def test_answers_that_litellm_translates(tmp_path: Path, answer: Answer, stream: bool) -> None:
    group = f"{name_of(answer, 'chat', stream)}/litellm"
    # litellm leaves out what it does not understand, and fails where a count is none.
    known = ("cut", "only", "without", "HTTP")
    made = [
        replace(case, surely=False, lost=EVERYTHING, never=case.never and case.name.startswith(known))
        for case in cases_of(answer, stream=stream)
    ]
    cases = chosen(group, made, 25)
    report(group, await tried_all(tmp_path, cases, "chat", model="claude"), cases)
