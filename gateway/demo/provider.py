"""A real HTTP server that speaks the OpenAI protocol for the simulated models, one port each, so that each can go down."""

import asyncio
import time
import uuid
from typing import Any

import orjson
from aiohttp import web

from gateway.demo.skills import MODELS, SimulatedModel
from gateway.request.query_text import user_text

FINGERPRINT = "simulated"
MAX_BODY_BYTES = 1 << 30  # the gateway has a limit of its own
QUESTION_CHARS = 4_000  # of the end of the last user message: agents put long texts before a question
PAUSE_S = 0.02  # between streamed words: slow enough to be seen


class SimulatedProvider:
    """Serves every simulated model on loopback. Use as an async context manager.

    Args:
        pause_s: between the words of a stream, seconds.
    """

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._runners: dict[str, web.AppRunner] = {}
        self._ports: dict[str, int] = {}

    @property
    def base_urls(self) -> dict[str, str]:
        """Base URL of each model; it stays the same when the model is stopped and started."""
        return {name: f"http://127.0.0.1:{port}/v1" for name, port in self._ports.items()}

    @property
    def running(self) -> set[str]:
        return set(self._runners)

    async def __aenter__(self) -> "SimulatedProvider":
        for model in MODELS:
            await self.start(model.name)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for name in list(self._runners):
            await self.stop(name)

    async def start(self, name: str) -> None:
        """Takes calls for a model (again).

        Raises:
            KeyError: no such model.
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
        """Closes a model's port and connections: from now on it is refused.

        Raises:
            KeyError: no such model.
        """
        if name not in self._ports:
            raise KeyError(name)
        runner = self._runners.pop(name, None)
        if runner is not None:
            await runner.cleanup()

    async def _chat(self, model: SimulatedModel, request: web.Request) -> web.StreamResponse:
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
        text = model.answer(prompt[-QUESTION_CHARS:])
        usage = _usage(data, text)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model.name}
        head |= {"system_fingerprint": FINGERPRINT, "simulated": True}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
            return _json(head | {"object": "chat.completion", "choices": choices, "usage": usage})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)

        async def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> None:
            choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
            event = head | {"object": "chat.completion.chunk", "choices": choices} | more
            await response.write(b"data: " + orjson.dumps(event) + b"\n\n")

        await chunk({"role": "assistant", "content": ""})
        for i, word in enumerate(text.split(" ")):
            await asyncio.sleep(self._pause_s)
            await chunk({"content": word if i == 0 else " " + word})
        await chunk({}, "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            await chunk(None, usage=usage)
        await response.write(b"data: [DONE]\n\n")
        return response


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    return next((user_text(message) for message in reversed(messages) if message["role"] == "user"), "")


def _media(messages: list[dict[str, Any]]) -> str | None:
    """The type of the first content that is no text."""
    parts = (part for message in messages if isinstance(message.get("content"), list) for part in message["content"])
    return next((part["type"] for part in parts if part["type"] not in ("text", "refusal")), None)


def _usage(request: bytes, text: str) -> dict[str, int]:
    """Rough token counts, 4 bytes each: nothing here has a tokeniser."""
    counts = {"prompt_tokens": len(request) // 4 + 1, "completion_tokens": len(text) // 4 + 1}
    return counts | {"total_tokens": sum(counts.values())}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _error(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": error}, status)
