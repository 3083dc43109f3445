"""Serves the simulated models over HTTP with the OpenAI API. Each has a port of its own, so that each can be stopped."""

import asyncio
import time
import uuid
from collections import Counter

import orjson
from aiohttp import web

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import CHARS_PER_TOKEN
from gateway.demo.skills import MODELS, SimulatedModel
from gateway.request.query_text import user_text

FINGERPRINT = "simulated"
MAX_BODY_BYTES = 1 << 30  # the gateway has a lower limit
QUESTION_CHARS = 4_000  # at the end of the last user message: agents put long texts before a question
PAUSE_S = 0.02  # between streamed words: slow enough to be visible


class SimulatedProvider:
    """Serves every simulated model on loopback. Use as an async context manager.

    Args:
        pause_s: between the words of a stream, seconds.

    Attributes:
        calls: the number of chat requests that each model has answered.
    """

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self.calls: Counter[str] = Counter()
        self._pause_s = pause_s
        self._runners: dict[str, web.AppRunner] = {}
        self._ports: dict[str, int] = {}

    @property
    def base_urls(self) -> dict[str, str]:
        """The base URL of each model. It stays the same when the model is stopped and started again."""
        return {name: f"http://127.0.0.1:{port}/v1" for name, port in self._ports.items()}

    @property
    def running(self) -> set[str]:
        """The names of the models that are running."""
        return set(self._runners)

    async def __aenter__(self) -> "SimulatedProvider":
        for model in MODELS:
            await self.start(model.name)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for name in list(self._runners):
            await self.stop(name)

    async def start(self, name: str) -> None:
        """Start a model, or start it again.

        Raises:
            KeyError: there is no such model.
        """
        model = next((m for m in MODELS if m.name == name), None)
        if model is None:
            raise KeyError(name)
        if name in self._runners:
            return

        async def chat(request: web.Request) -> web.StreamResponse:
            return await self._chat(model, request)

        async def models(request: web.Request) -> web.Response:
            entry = {"id": model.name, "object": "model", "created": 0, "owned_by": "simulated"}
            return _json({"object": "list", "data": [entry]})

        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._ports.get(name, 0), reuse_address=True)
        await site.start()
        self._ports[name] = runner.addresses[0][1]
        self._runners[name] = runner

    async def stop(self, name: str) -> None:
        """Close the port and the connections of a model. New connections are then refused.

        Raises:
            KeyError: there is no such model.
        """
        if name not in self._ports:
            raise KeyError(name)
        runner = self._runners.pop(name, None)
        if runner is not None:
            await runner.cleanup()

    async def _chat(self, model: SimulatedModel, request: web.Request) -> web.StreamResponse:
        """Answer a chat completion request."""
        try:
            data = await request.read()
            body = orjson.loads(data)
            prompt = _last_user_text(body["messages"])
            if body["model"] != model.name:
                return _error(404, f"no model {body['model']!r} here", "model_not_found")
            if (media := _media(body["messages"])) is not None:
                return _error(
                    400, f"{model.name} reads text only: content of type `{media}` is not supported", "unsupported"
                )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return _error(400, "expected JSON with `model` and `messages`", "invalid_request")
        self.calls[model.name] += 1
        text = model.answer(prompt[-QUESTION_CHARS:])
        usage = _usage(data, text)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model.name}
        head |= {"system_fingerprint": FINGERPRINT, "simulated": True}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
            return _json(head | {"object": "chat.completion", "choices": choices, "usage": usage})
        wants_usage = (body.get("stream_options") or {}).get("include_usage")
        return await self._stream(request, head, text, usage if wants_usage else None)

    async def _stream(
        self, request: web.Request, head: JsonObject, text: str, usage: dict[str, int] | None
    ) -> web.StreamResponse:
        """Send an answer as a stream, one word per chunk, and the usage if it is given."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)

        async def chunk(delta: JsonObject | None, finish: str | None = None, **more: object) -> None:
            choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
            event = head | {"object": "chat.completion.chunk", "choices": choices} | more
            await response.write(b"data: " + orjson.dumps(event) + b"\n\n")

        await chunk({"role": "assistant", "content": ""})
        for i, word in enumerate(text.split(" ")):
            await asyncio.sleep(self._pause_s)
            await chunk({"content": word if i == 0 else " " + word})
        await chunk({}, "stop")
        if usage is not None:
            await chunk(None, usage=usage)
        await response.write(b"data: [DONE]\n\n")
        return response


def _last_user_text(messages: list[JsonObject]) -> str:
    return next((user_text(message) for message in reversed(messages) if message["role"] == "user"), "")


def _media(messages: list[JsonObject]) -> str | None:
    """Return the type of the first content part that is not text, or None."""
    parts = (part for message in messages if isinstance(message.get("content"), list) for part in message["content"])
    return next((part["type"] for part in parts if part["type"] not in ("text", "refusal")), None)


def _usage(request: bytes, text: str) -> dict[str, int]:
    """Return rough token counts of 4 bytes per token: simulated models have no tokenizer."""
    counts = {
        "prompt_tokens": len(request) // CHARS_PER_TOKEN + 1,
        "completion_tokens": len(text) // CHARS_PER_TOKEN + 1,
    }
    return counts | {"total_tokens": sum(counts.values())}


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _error(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": error}, status)
