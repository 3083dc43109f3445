"""The providers of the soak: they fail in every way that `tests.faults.provider` knows, and keep a bill of what they wrote."""

import asyncio
import random
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from scripts.soak.texts import NONCE, answer_text, other_text, vector
from tests.faults.provider import SSE, Persona, broken, by_mode, end, framed, page, pieces, play, prompt_tokens
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, error, head, reply, silent

Kind = Literal["chat", "messages", "embeddings", "down"]


@dataclass(frozen=True)
class Character:
    """What is particular about one provider.

    Attributes:
        model: the portfolio model that it serves.
        kind: the format that it speaks; "down" fails every call.
        operator: whether it also refuses its key and forgets its model at times. That takes it out for a while.
        flaps: whether it is down for a while now and then.
    """

    name: str
    model: str
    kind: Kind = "chat"
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
    Character("p5", "claude", kind="messages"),
    Character("p6", "vectors", kind="embeddings"),
    Character("p7", "vectors", kind="embeddings"),
    Character("p8", "down", kind="down"),
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
    ("401", error(401, "Incorrect API key provided", "invalid_api_key")),
    ("404", error(404, "The model does not exist", "model_not_found")),
    ("quota", error(429, "You have used up your quota", "insufficient_quota")),
]
ENDINGS: tuple[Any, ...] = (*HOWS, "half chunk", "half chunk reset", "half event", "comments", "whole")


@dataclass
class Billed:
    """One upstream call, as its provider would put it on the bill."""

    nonce: str
    provider: str
    path: str
    fault: str
    ended: str
    at: float
    stream: bool
    prompt: int
    tokens: int  # of the completion, written to the gateway
    answered: bool  # whether it began an answer, rather than failed before


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
        nonce = nonce_of(call)
        if character.kind == "down":
            self._faults[id(call)] = "500"
            return await error(500)(call, writer)
        cut: tuple[int, Any] | None = None
        name = ""
        fault: Reply | None = None
        if rng.random() < self._rate:
            if call.body.get("stream") and rng.random() < 0.5:
                cut = rng.randrange(1, 40), rng.choice(ENDINGS)
                name = f"after content: {cut[1]}"
            else:
                name, fault = rng.choice(BEFORE)
        elif character.operator and rng.random() < 0.002:
            name, fault = rng.choice(OPERATOR)
        elif rng.random() < 0.05:
            await asyncio.sleep(rng.uniform(0.0, 1.0))  # merely slow
        self._faults[id(call)] = name
        answer = fault or self._right(call, nonce, cut, rng.uniform(0.0, 0.02))
        return await answer(call, writer)

    def _right(self, call: Call, nonce: str, cut: tuple[int, Any] | None, pause_s: float) -> Reply:
        character = self._character
        text = other_text(nonce) if character.other else answer_text(nonce)
        if character.kind == "embeddings":
            return vectors
        if character.kind == "messages":
            return MessagesPersona(Persona(text, prefill=400, on=_given(call, nonce)), cut, pause_s)
        persona = Persona(
            text, prefill=character.prefill, on=_given(call, nonce), usage=character.usage, pause_s=pause_s
        )
        if cut is not None:
            persona.cut_after, persona.ending = cut
        return persona

    def bill(self) -> Iterator[Billed]:
        for call in self.server.calls:
            fault = self._faults.get(id(call), "")
            yield Billed(
                nonce=nonce_of(call),
                provider=self._character.name,
                path=call.path,
                fault=fault,
                ended=call.ended,
                at=call.at,
                stream=bool(call.body.get("stream")),
                prompt=_prompt(call),
                tokens=call.tokens,
                answered=not fault or fault.startswith("after content"),
            )

    async def flap(self) -> None:
        """Down for five seconds, up for twenty, and so on."""
        while True:
            await asyncio.sleep(20)
            await self.server.stop()
            await asyncio.sleep(5)
            await self.server.start()


@dataclass(frozen=True)
class MessagesPersona:
    """Answers Anthropic's Messages, word by word where the answer is streamed. Refuses to continue a partial answer.

    Attributes:
        persona: what it says.
        cut: tokens after which a stream ends, and how; None: at its end.
    """

    persona: Persona
    cut: tuple[int, Any] | None
    pause_s: float

    async def __call__(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        messages = [message | {"content": _text(message)} for message in call.body.get("messages") or ()]
        said = self.persona.says(messages or [{}])
        if said is None:
            return await reply(400, _refused("This model does not support assistant message prefill."))(call, writer)
        tokens = pieces(said)
        prompt = prompt_tokens(call)
        message = {
            "id": f"msg_{id(call):x}",
            "type": "message",
            "role": "assistant",
            "model": call.body.get("model"),
            "content": [{"type": "text", "text": said}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": prompt, "output_tokens": len(tokens)},
        }
        if not call.body.get("stream"):
            call.tokens = len(tokens)
            return await reply(200, message)(call, writer)
        begin = message | {"content": [], "stop_reason": None, "usage": {"input_tokens": prompt, "output_tokens": 1}}
        writer.write(head(200, None, SSE) + framed(_event("message_start", message=begin)))
        writer.write(framed(_event("content_block_start", index=0, content_block={"type": "text", "text": ""})))
        for number, token in enumerate(tokens):
            part = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": token})
            if self.cut is not None and number == self.cut[0]:
                return await end(call, writer, self.cut[1], part)
            writer.write(framed(part))
            await writer.drain()
            call.tokens = number + 1
            await asyncio.sleep(self.pause_s)
        writer.write(framed(_event("content_block_stop", index=0)))
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        writer.write(framed(_event("message_delta", delta=stop, usage={"output_tokens": len(tokens)})))
        if self.cut is not None:  # later than the text: the end alone is missing
            return await end(call, writer, self.cut[1], _event("message_stop"))
        writer.write(framed(_event("message_stop")) + b"0\r\n\r\n")
        await writer.drain()
        return None


async def vectors(call: Call, writer: asyncio.StreamWriter) -> Any:
    """A vector for each text, told as numbers."""
    data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(_inputs(call))]
    usage = {"prompt_tokens": _prompt(call), "total_tokens": _prompt(call)}
    fields = {"object": "list", "model": call.body.get("model"), "data": data, "usage": usage}
    return await reply(200, fields)(call, writer)


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


def nonce_of(call: Call) -> str:
    found = NONCE.search(call.raw.decode("utf-8", "replace"))
    return found.group() if found else ""


def _given(call: Call, nonce: str) -> str | None:
    """The text that a partial answer in this call is the beginning of; None: there is none."""
    given = [_text(m) for m in call.body.get("messages", ()) if m.get("role") == "assistant"]
    texts = (answer_text(nonce), other_text(nonce))
    return next((text for text in texts if given and text.startswith(given[-1])), None)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _inputs(call: Call) -> list[str]:
    given = call.body.get("input")
    return given if isinstance(given, list) else [str(given)]


def _prompt(call: Call) -> int:
    """Tokens of the prompt, as the providers bill them."""
    return sum(len(pieces(text)) for text in _inputs(call)) if "input" in call.body else prompt_tokens(call)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind} | fields) + b"\n\n"


def _refused(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
