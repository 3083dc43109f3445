"""A model provider on loopback that does what a request asks for: tools, JSON by a schema, several choices, embeddings.

It thinks nothing: the same request always gets the same answer, and what it says repeats what it was told, so that a test
sees whether everything arrived.
"""

import asyncio
import base64
import hashlib
import itertools
import re
import struct
from collections.abc import Iterator
from typing import Any

import orjson

from tests.gateway.upstreams import Call, ScriptedProvider, error, reply, stream

CREATED = 1_700_000_000
DIMENSIONS = 8
REASONING = "First I read the question."
BOTH = re.compile(r"\b(both|parallel|two)\b", re.IGNORECASE)
_PIECE = 9  # characters of tool arguments in one delta
_numbers = itertools.count(1)


def provider() -> ScriptedProvider:
    """Answers `/chat/completions`, `/completions`, `/embeddings` and `/models`."""
    return ScriptedProvider(answer_anything)


async def answer_anything(call: Call, writer: asyncio.StreamWriter) -> Any:
    path = call.path.partition("?")[0].removeprefix("/v1")
    body = call.body
    if path == "/models":
        return await reply(200, {"object": "list", "data": []})(call, writer)
    answers = {"/chat/completions": chat, "/completions": completion, "/embeddings": embeddings}
    if path not in answers:
        return await error(404, f"no such path: {path}")(call, writer)
    whole = answers[path](body)
    if not body.get("stream"):
        return await reply(200, whole, {"x-request-id": whole.get("id", "emb")})(call, writer)
    parts = chat_chunks(whole, body) if path == "/chat/completions" else completion_chunks(whole, body)
    return await stream([b"data: " + orjson.dumps(part) + b"\n\n" for part in parts] + [b"data: [DONE]\n\n"])(
        call, writer
    )


def chat(body: dict[str, Any]) -> dict[str, Any]:
    """A whole chat completion."""
    thinks = body.get("reasoning_effort") not in (None, "none", "minimal")
    choices = [_choice(body, index, thinks) for index in range(body.get("n") or 1)]
    out = sum(len(tokens(_written(choice["message"]))) for choice in choices)
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": CREATED,
        "model": body["model"],
        "choices": choices,
        "usage": _usage(len(tokens(" ".join(texts(body["messages"])))), out, len(tokens(REASONING)) if thinks else 0),
    } | ({"system_fingerprint": f"fp_{body['seed']}"} if "seed" in body else {})


def chat_chunks(whole: dict[str, Any], body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks that add up to a whole chat completion."""
    base = {k: v for k, v in whole.items() if k not in ("choices", "usage")} | {"object": "chat.completion.chunk"}
    usage_requested = bool((body.get("stream_options") or {}).get("include_usage"))
    more: dict[str, Any] = {"usage": None} if usage_requested else {}

    def part(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return base | {"choices": [choice]} | more

    for choice in whole["choices"]:
        index, message = choice["index"], choice["message"]
        yield part(index, {"role": "assistant", "content": None if message.get("tool_calls") else ""})
        for word in tokens(message.get("reasoning_content") or ""):
            yield part(index, {"reasoning_content": word})
        logprobs = (choice["logprobs"] or {}).get("content")
        for at, word in enumerate(tokens(message["content"] or "")):
            yield part(index, {"content": word}, None, {"content": [logprobs[at]]} if logprobs else None)
        for number, call in enumerate(message.get("tool_calls", ())):
            arguments = call["function"]["arguments"]
            first = call | {"index": number, "function": call["function"] | {"arguments": ""}}
            yield part(index, {"tool_calls": [first]})
            for at in range(0, len(arguments), _PIECE):
                piece = {"index": number, "function": {"arguments": arguments[at : at + _PIECE]}}
                yield part(index, {"tool_calls": [piece]})
        yield part(index, {}, choice["finish_reason"])
    if usage_requested:
        yield base | {"choices": [], "usage": whole["usage"]}


def _choice(body: dict[str, Any], index: int, thinks: bool) -> dict[str, Any]:
    calls = _tool_calls(body)
    if calls:
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
        finish = "tool_calls"
    else:
        text, finish = _limited(_answer(body), body)
        text += f" ({index + 1})" if index else ""
        message = {"role": "assistant", "content": text, "refusal": None}
    if thinks:
        message["reasoning_content"] = REASONING
    logprobs = None
    if body.get("logprobs") and message["content"]:
        content = [_logprob(token, body.get("top_logprobs") or 0) for token in tokens(message["content"])]
        logprobs = {"content": content, "refusal": None}
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def _tool_calls(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Which tools are called: those asked for by `tool_choice`, or the first; two of them if the user wants both of something.

    Once a tool has been called since the user's last words no more are, unless one must be: then the last, by which agents
    hand over their result.
    """
    tools = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    wanted = body.get("tool_choice") or "auto"
    if not tools or wanted == "none":
        return []
    query = last_user_text(body)
    called = body["messages"][-1]["role"] == "tool"
    if isinstance(wanted, dict):
        chosen = [tool for tool in tools if tool["name"] == wanted["function"]["name"]]
    elif called:
        chosen = tools[-1:] if wanted == "required" else []
    elif BOTH.search(query) and body.get("parallel_tool_calls") is not False:
        chosen = tools[:2] if len(tools) > 1 else tools * 2
    else:
        chosen = tools[:1]
    names = iter(names_in(query))
    return [
        {
            "id": f"call_{next(_numbers)}",
            "type": "function",
            "function": {"name": tool["name"], "arguments": orjson.dumps(sample(_schema(tool), names)).decode()},
        }
        for tool in chosen
    ]


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    return tool.get("parameters") or {"type": "object"}


def _answer(body: dict[str, Any]) -> str:
    wanted = body.get("response_format") or {}
    query = last_user_text(body)
    if wanted.get("type") == "json_schema":
        return orjson.dumps(sample(wanted["json_schema"]["schema"], iter(names_in(query)))).decode()
    if wanted.get("type") == "json_object":
        return orjson.dumps({"answer": query}).decode()
    last = body["messages"][-1]
    if last["role"] == "tool":
        results = [m for m in body["messages"][_last_user(body) :] if m["role"] == "tool"]
        return "The tools say: " + "; ".join(text for m in results for text in texts([m]))
    images = sum(part.get("type") == "image_url" for m in body["messages"] for part in _parts(m))
    return f"You said: {query[:200]}" + (f" [{images} image]" if images else "")


def _limited(text: str, body: dict[str, Any]) -> tuple[str, str]:
    """The text up to a stop sequence or the output limit, and the finish reason."""
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    words = tokens(text)
    return ("".join(words[:limit]), "length") if limit and len(words) > limit else (text, "stop")


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A whole legacy completion; with `suffix` it fills the gap between prompt and suffix."""
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    choices = []
    for prompt in prompts:
        for _ in range(body.get("n") or 1):
            text = f" filled before {body['suffix'].strip()}" if body.get("suffix") else " and so on"
            text, finish = _limited((prompt if body.get("echo") else "") + text, body)
            choices.append({"text": text, "index": len(choices), "logprobs": None, "finish_reason": finish})
    usage = _usage(sum(len(tokens(p)) for p in prompts), sum(len(tokens(c["text"])) for c in choices), 0)
    return {
        "id": f"cmpl-{next(_numbers)}",
        "object": "text_completion",
        "created": CREATED,
        "model": body["model"],
        "choices": choices,
        "usage": usage,
    }


def completion_chunks(whole: dict[str, Any], body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    base = {k: v for k, v in whole.items() if k not in ("choices", "usage")}
    for choice in whole["choices"]:
        for word in tokens(choice["text"]):
            yield base | {"choices": [choice | {"text": word, "finish_reason": None}]}
        yield base | {"choices": [choice | {"text": ""}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield base | {"choices": [], "usage": whole["usage"]}


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Vectors that depend on the text alone: as floats, or in base64 as the OpenAI client asks for."""
    asked = body["input"]
    inputs = asked if isinstance(asked, list) and not (asked and isinstance(asked[0], int)) else [asked]
    data: list[dict[str, Any]] = []
    for index, text in enumerate(inputs):
        vector: Any = embedding(str(text), body.get("dimensions") or DIMENSIONS)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    count = sum(len(tokens(str(text))) for text in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def embedding(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector for a text; its numbers have few binary digits, so that 32 bits hold them exactly."""
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[i % len(digest)] / 256 - 0.5 for i in range(dimensions)]


def sample(schema: dict[str, Any], names: Iterator[str], root: dict[str, Any] | None = None, key: str = "text") -> Any:
    """A value that fits a JSON schema.

    Args:
        names: used up, one for each string that may be anything; when there are none left, `key`, the field's own name.
        root: where `$ref` leads from.
    """
    root = root or schema
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return sample(target, names, root, key)
    for choice in ("enum", "anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            first = schema[choice][0]
            return first if choice == "enum" else sample(first, names, root, key)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            # A value for what may be left out too, but for what has a default.
            needed = schema.get("required", ())
            fields = schema.get("properties", {}).items()
            return {k: sample(v, names, root, k) for k, v in fields if k in needed or "default" not in v}
        case "array":
            return [sample(schema.get("items", {}), names, root, key)]
        case "integer" | "number":
            return min(max(schema.get("minimum", 3), 3), schema.get("maximum", 3))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return next(names, key)


def names_in(text: str) -> list[str]:
    """The capitalised words but for the first of a sentence: ["Paris", "Rome"] in "Weather in Paris and Rome?"."""
    return re.findall(r"(?<=[a-z,;] )[A-Z]\w+", text)


def last_user_text(body: dict[str, Any]) -> str:
    return " ".join(texts([body["messages"][_last_user(body)]]))


def _last_user(body: dict[str, Any]) -> int:
    messages = body["messages"]
    return max((i for i, message in enumerate(messages) if message["role"] == "user"), default=len(messages) - 1)


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [text for m in messages for part in _parts(m) if (text := part.get("text") or part.get("refusal"))]


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def tokens(text: str) -> list[str]:
    """Words with the space before them."""
    return re.findall(r"\s*\S+|\s+$", text)


def _written(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls") or ()
    return (message["content"] or "") + " ".join(call["function"]["arguments"] for call in calls)


def _logprob(token: str, top: int) -> dict[str, Any]:
    def one(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return one(token, -0.1) | {"top_logprobs": [one(token + "'" * rank, -0.1 - rank) for rank in range(top)]}


def _usage(prompt: int, out: int, reasoning: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": out + reasoning,
        "total_tokens": prompt + out + reasoning,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
