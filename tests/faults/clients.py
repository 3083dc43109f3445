"""What a client sees of one request, read once by the official client and once from the bytes themselves."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.running import Gateway, entry

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why is it there?"}]
# For tests of something else than the breaker and the retry budget.
CALM: dict[str, Any] = {"breaker_failures": 1000, "retry_budget": 1.0}
SHORT = {"timeout": 0.25, "first_token_timeout": 0.25, "idle_timeout": 0.25, "connect_timeout": 0.25}
# For tests whose provider is never silent: a slow machine must not look like a silent provider.
LONG = {"timeout": 60, "first_token_timeout": 60, "idle_timeout": 60, "connect_timeout": 60}


@dataclass
class Got:
    """An answer, whole or streamed.

    Attributes:
        done: how many `[DONE]`.
        usages: usage objects of the stream's chunks, or of the answer.
        error: the error object, of the answer or in the stream.
    """

    status: int
    headers: httpx.Headers
    text: str = ""
    ids: set[str] = field(default_factory=set)
    created: set[int] = field(default_factory=set)
    models: list[str] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    usages: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    done: int = 0
    chunks: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""

    def take(self, value: dict[str, Any]) -> None:
        """Adds one chunk or whole answer."""
        if value.get("error"):
            self.error = value["error"]
            return
        self.chunks.append(value)
        self.ids.add(value["id"])
        self.created.add(value["created"])
        if value["model"] not in self.models:
            self.models.append(value["model"])
        if value.get("usage"):
            self.usages.append(value["usage"])
        for choice in value["choices"]:
            if choice.get("index", 0) == 0:
                self.text += (choice.get("delta") or choice.get("message") or {}).get("content") or ""
            if choice.get("finish_reason"):
                self.finishes.append(choice["finish_reason"])

    def complete(self, text: str, *, streaming: bool) -> None:
        """Asserts that this is that whole answer and nothing besides."""
        assert self.status == 200, self.raw
        assert self.error is None, self.raw
        assert self.text == text
        assert self.finishes == ["stop"], self.raw
        assert self.done == (1 if streaming else 0)
        assert len(self.ids) == 1
        assert len(self.created) == 1
        assert self.headers["x-request-id"]

    def broken(self, text: str) -> None:
        """Asserts that the stream ended in-band with an error after `text`, and not like a success."""
        assert self.status == 200, self.raw
        assert self.error is not None, self.raw
        assert self.error["message"]
        assert "type" in self.error
        assert self.text == text
        assert self.done == 0
        assert self.finishes == []


def body(model: str = "llama-8b", *, stream: bool, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": ASK, "stream": stream} | more


async def ask(run: Gateway, model: str = "llama-8b", *, stream: bool, **more: Any) -> Got:
    """One request over plain HTTP; its events are read by the letter."""
    response = await run.http.post("/v1/chat/completions", json=body(model, stream=stream, **more))
    return read(response)


def read(response: httpx.Response) -> Got:
    got = Got(response.status_code, response.headers, raw=response.text)
    if not response.headers["content-type"].startswith("text/event-stream"):
        got.take(response.json())
        return got
    assert response.text.endswith("\n\n"), response.text[-200:]
    for event in response.text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].lstrip(" ") for line in event.split("\n") if line.startswith("data:"))
        if data == "[DONE]":
            got.done += 1
        elif data:
            assert not got.done, "something after [DONE]"
            got.take(orjson.loads(data))
    return got


async def official(run: Gateway, model: str = "llama-8b", *, stream: bool, **more: Any) -> Got:
    """One request by the official client. A broken stream raises there; that is what `error` is then."""
    create = run.client.chat.completions.with_raw_response.create
    try:
        raw = await create(model=model, messages=ASK, stream=stream, **more)
    except openai.APIStatusError as exc:
        return Got(exc.status_code, exc.response.headers, error=exc.response.json()["error"], raw=exc.response.text)
    got = Got(raw.status_code, raw.headers)
    answer = raw.parse()
    if not stream:
        got.take(answer.model_dump(exclude_unset=True))
        return got
    try:
        async for value in answer:
            got.take(value.model_dump(exclude_unset=True))
        got.done = 1  # the client hides it
    except openai.APIError as exc:
        got.error = {"message": exc.message, "type": exc.type}
    return got


def short(name: str, *urls: str, **more: Any) -> dict[str, Any]:
    """A model of the portfolio whose deployments have short limits; `deployment` holds further keys of each."""
    further = more.pop("deployment", {})
    model = entry(name, *urls, **more)
    for deployment in model["deployments"]:
        deployment |= SHORT | further
    return model


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits until a condition, which may be asynchronous, is true.

    Raises:
        TimeoutError: it does not come true in time.
    """
    async with asyncio.timeout(seconds):
        while True:
            true = condition()
            if await true if inspect.isawaitable(true) else true:
                return
            await asyncio.sleep(0.01)


def forgive(run: Gateway) -> None:
    """Closes all breakers, so that the next request is as the first."""
    for model in run.service.in_force.deployments.models.values():
        for live in model.deployments:
            live.breaker.success()


def in_flight(run: Gateway) -> int:
    return sum(d.in_flight for m in run.service.in_force.deployments.models.values() for d in m.deployments)


async def metric(run: Gateway, name: str, **labels: str) -> float | None:
    """A sample as Prometheus would read it; None where there is none."""
    text = (await run.http.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


async def at_rest(run: Gateway) -> bool:
    """Is no request under way, so that all are in the record?"""
    return await metric(run, "locus_requests_in_flight") == 0
