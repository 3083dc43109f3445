"""The clients of the soak: many at once, each with one request at a time, by the official packages of each API."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import anthropic
import openai

from scripts.soak.gateway_process import KEYS, WRONG_KEY
from scripts.soak.texts import is_whole, question, vector
from tests.gateway.running import EMBEDDINGS

CLIENTS = 50
TIMEOUT_S = 90.0
Api = Literal["chat", "messages", "responses", "completions", "embeddings"]
APIS: tuple[Api, ...] = ("chat", "messages", "responses", "completions", "embeddings")
WEIGHTS = (6, 2, 2, 1, 1)
MAX_TOKENS = 1000
WARM_UP = 32  # requests at once; each worker gets some of their connections


@dataclass
class Seen:
    """How one request ended for its client.

    Attributes:
        expects: "answer"; "refusal" where the key is wrong; "error" where the only model that may answer always fails.
        end: complete, error (an answer with an error status), broken (an error event in the stream), left (the client's own
            doing), unheard (the connection ended without any answer), or false (an answer that is not whole, as a success).
        usages: prompt and completion tokens, as often as they were told.
    """

    nonce: str
    api: Api
    model: str
    stream: bool
    usage_requested: bool
    expects: Literal["answer", "refusal", "error"] = "answer"
    end: str = ""
    status: int | None = None
    detail: str = ""
    usages: list[tuple[int, int]] = field(default_factory=list)
    at: float = 0.0
    seconds: float = 0.0


@dataclass
class Answer:
    """What a client read: its text, and how the API says that it ended properly."""

    text: str = ""
    endings: list[str] = field(default_factory=list)
    proper: str = "stop"
    broken: str = ""  # the error that the stream ended with


class Clients:
    """All of them."""

    def __init__(self, root: str, seed: int) -> None:
        self.seen: list[Seen] = []
        self.refused = 0  # connections, while the gateway was away; tried again
        settings: dict[str, Any] = {"max_retries": 0, "timeout": TIMEOUT_S}
        keys = (*KEYS, WRONG_KEY)
        self._openai = {key: openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=key, **settings) for key in keys}
        self._anthropic = {key: anthropic.AsyncAnthropic(base_url=root, auth_token=key, **settings) for key in keys}
        self._seed = seed
        self._stopping = False

    async def run(self) -> None:
        try:
            await asyncio.gather(*(self._one(number) for number in range(CLIENTS)))
        finally:
            for client in (*self._openai.values(), *self._anthropic.values()):
                await client.close()

    def stop(self) -> None:
        """Each finishes what it has begun."""
        self._stopping = True

    async def warm_up(self) -> None:
        """Has every worker import what the litellm path needs, so that its memory is not taken for a leak."""
        asks = [
            Seen(f"soak-{i:016x}", "chat", "claude", False, False, at=time.monotonic())
            for i in self._new_nonces(WARM_UP)
        ]
        await asyncio.gather(*(self._ask(seen, KEYS[0], slow=False) for seen in asks))
        self.seen += asks

    def _new_nonces(self, number: int) -> list[int]:
        return [len(self.seen) + i for i in range(number)]

    async def _one(self, number: int) -> None:
        rng = random.Random(f"{self._seed} client {number}")
        while not self._stopping:
            await asyncio.sleep(rng.expovariate(1 / 0.7))
            (api,) = rng.choices(APIS, WEIGHTS)
            stream = api != "embeddings" and rng.random() < 0.5
            usage_requested = stream and (api in ("messages", "responses") or rng.random() < 0.5)
            model = (
                "vectors"
                if api == "embeddings"
                else rng.choice(["auto", "auto:best", "auto:cheap", "claude", *EMBEDDINGS])
            )
            seen = Seen(f"soak-{rng.getrandbits(64):016x}", api, model, stream, usage_requested, at=time.monotonic())
            key = rng.choice(KEYS)
            if (chance := rng.random()) < 0.02:
                key, seen.expects = WRONG_KEY, "refusal"
            elif chance < 0.04 and api != "embeddings":
                seen.model, seen.expects = "down", "error"
            patience_s = rng.uniform(0.0, 1.5) if rng.random() < 0.08 and seen.expects == "answer" else None
            slow = rng.random() < 0.03
            began = time.monotonic()
            try:
                async with asyncio.timeout(patience_s):
                    await self._ask(seen, key, slow=slow)
            except TimeoutError:
                seen.end = "left"
            seen.seconds = time.monotonic() - began
            self.seen.append(seen)

    async def _ask(self, seen: Seen, key: str, *, slow: bool) -> None:
        while True:
            try:
                answer = await self._call(seen, key, slow=slow)
            except (openai.APITimeoutError, anthropic.APITimeoutError):
                seen.end, seen.detail = "unheard", f"no answer within {TIMEOUT_S:.0f} s"
                return
            except (openai.APIConnectionError, anthropic.APIConnectionError) as exc:
                if type(exc.__cause__).__name__ == "ConnectError":
                    self.refused += 1
                    await asyncio.sleep(0.2)
                    continue
                seen.end, seen.detail = "unheard", repr(exc.__cause__)
                return
            except (openai.APIStatusError, anthropic.APIStatusError) as exc:
                # anthropic's package raises an error event of a stream with the status of the stream, 200
                seen.end, seen.status, seen.detail = "error", exc.status_code, exc.message
                if exc.status_code == 200:
                    seen.end = "broken"
                return
            except (openai.APIError, anthropic.APIError) as exc:
                seen.end, seen.status, seen.detail = "broken", 200, exc.message
                return
            except Exception as exc:  # the connection ended: by an error of whatever HTTP library the client uses
                seen.end, seen.detail = "unheard", repr(exc)
                return
            break
        seen.status = 200
        if answer.broken:
            seen.end, seen.detail = "broken", answer.broken
        elif seen.api == "embeddings" or (is_whole(seen.nonce, answer.text) and answer.endings == [answer.proper]):
            seen.end = "complete" if answer.endings == [answer.proper] else "false"
        else:
            seen.end, seen.detail = "false", f"endings {answer.endings}, {answer.text!r}"

    async def _call(self, seen: Seen, key: str, *, slow: bool) -> Answer:
        headers = {"x-request-id": seen.nonce}
        if seen.expects == "error":
            headers["x-locus-failover"] = "off"
        pause_s = 0.05 if slow else 0.0
        ask = {"model": seen.model, "stream": seen.stream, "extra_headers": headers}
        client = self._openai[key]
        match seen.api:
            case "chat":
                more: dict[str, Any] = {"stream_options": {"include_usage": True}} if seen.usage_requested else {}
                return await _chat(
                    seen, await client.chat.completions.create(**ask, **more, messages=_turns(seen)), pause_s
                )
            case "completions":
                more = {"stream_options": {"include_usage": True}} if seen.usage_requested else {}
                given = await client.completions.create(
                    **ask, **more, prompt=question(seen.nonce), max_tokens=MAX_TOKENS
                )
                return await _completion(seen, given, pause_s)
            case "responses":
                return await _response(seen, await client.responses.create(**ask, input=question(seen.nonce)), pause_s)
            case "messages":
                given = await self._anthropic[key].messages.create(**ask, messages=_turns(seen), max_tokens=MAX_TOKENS)
                return await _message(seen, given, pause_s)
            case "embeddings":
                del ask["stream"]
                texts = [question(seen.nonce), seen.nonce]
                found = await client.embeddings.create(**ask, input=texts, encoding_format="float")
                seen.usages.append((found.usage.prompt_tokens, 0))
                right = [item.embedding for item in found.data] == [vector(text) for text in texts]
                return Answer("", ["stop" if right else "other vectors"])


def _turns(seen: Seen) -> list[Any]:
    return [{"role": "user", "content": question(seen.nonce)}]


async def _chat(seen: Seen, given: Any, pause_s: float) -> Answer:
    if not seen.stream:
        _note(seen, given.usage, "prompt_tokens", "completion_tokens")
        return Answer(given.choices[0].message.content or "", [given.choices[0].finish_reason])
    answer = Answer()
    async with given:
        async for part in given:
            _note(seen, part.usage, "prompt_tokens", "completion_tokens")
            for choice in part.choices:
                answer.text += choice.delta.content or ""
                answer.endings += [choice.finish_reason] if choice.finish_reason else []
            await asyncio.sleep(pause_s)
    return answer


async def _completion(seen: Seen, given: Any, pause_s: float) -> Answer:
    if not seen.stream:
        _note(seen, given.usage, "prompt_tokens", "completion_tokens")
        return Answer(given.choices[0].text, [given.choices[0].finish_reason])
    answer = Answer()
    async with given:
        async for part in given:
            _note(seen, part.usage, "prompt_tokens", "completion_tokens")
            for choice in part.choices:
                answer.text += choice.text or ""
                answer.endings += [choice.finish_reason] if choice.finish_reason else []
            await asyncio.sleep(pause_s)
    return answer


async def _response(seen: Seen, given: Any, pause_s: float) -> Answer:
    if not seen.stream:
        _note(seen, given.usage, "input_tokens", "output_tokens")
        return Answer(given.output_text, [given.status], "completed")
    answer = Answer(proper="completed")
    async with given:
        async for event in given:
            if event.type == "response.output_text.delta":
                answer.text += event.delta
            elif event.type in ("response.completed", "response.incomplete"):
                answer.endings.append(event.response.status)
                _note(seen, event.response.usage, "input_tokens", "output_tokens")
            elif event.type in ("response.failed", "error"):
                answer.broken = f"{event.type}"
            await asyncio.sleep(pause_s)
    return answer


async def _message(seen: Seen, given: Any, pause_s: float) -> Answer:
    if not seen.stream:
        _note(seen, given.usage, "input_tokens", "output_tokens")
        text = "".join(block.text for block in given.content if block.type == "text")
        return Answer(text, [given.stop_reason], "end_turn")
    answer = Answer(proper="end_turn")
    prompt = 0
    async with given:
        async for event in given:
            if event.type == "message_start":
                prompt = event.message.usage.input_tokens
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                answer.text += event.delta.text
            elif event.type == "message_delta":
                answer.endings += [event.delta.stop_reason] if event.delta.stop_reason else []
                seen.usages.append((event.usage.input_tokens or prompt, event.usage.output_tokens))
            await asyncio.sleep(pause_s)
    return answer


def _note(seen: Seen, usage: Any, prompt: str, completion: str) -> None:
    if usage is not None:
        seen.usages.append((getattr(usage, prompt), getattr(usage, completion)))
