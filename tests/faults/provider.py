"""What can go wrong with a provider, as replies of the scripted one: faults before content, in it, and after a cut.

`Persona` is a provider with an answer of its own, which breaks off where told and goes on from another's partial answer
in the way that it is able to. Words are numbered, so that a gap or a repeat shows.
"""

import asyncio
import datetime as dt
import email.utils
import gzip
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tests.gateway.upstreams import Call, Reply, chunk, completion, error, head, reply

SSE = "text/event-stream"
SECRETS = "sk-up-0123456789 of org-acme at http://10.1.2.3/v1"  # what a provider's error text may give away
_numbers = itertools.count()
Ending = Literal[
    "whole", "close", "reset", "stall", "half chunk", "half chunk reset", "half event", "comments", "trickle"
]
Place = Literal["before headers", "in the headers", "after the headers", "in the body", "between events", "in a chunk"]


def numbered(words: int, letter: str = "w") -> str:
    """`numbered(3)` is "w0 w1 w2"."""
    return " ".join(f"{letter}{i}" for i in range(words))


def pieces(text: str) -> list[str]:
    """The tokens that `text` is streamed in: words with the space before them; joined they are `text` again."""
    return re.findall(r"\s*\S+|\s+$", text)


def prompt_tokens(call: Call) -> int:
    """What a `Persona` bills for the prompt."""
    return sum(len(pieces(str(message.get("content", "")))) for message in call.body.get("messages", ()))


def framed(part: bytes) -> bytes:
    """`part` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(part), part)


def http_date(seconds: float) -> str:
    """The time in so many seconds, as `Retry-After` may give it; whole seconds."""
    return email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)


async def end(call: Call, writer: asyncio.StreamWriter, ending: Ending, part: bytes = b"") -> str | None:
    """Ends a chunked body; `part` is what a half chunk or half event is half of."""
    match ending:
        case "whole":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return None
        case "half chunk" | "half chunk reset":
            writer.write(framed(part)[: len(part) // 2])
        case "half event":
            writer.write(framed(part[: len(part) // 2]))
        case "comments" | "empty deltas":
            while True:
                writer.write(framed(b": keep-alive\n\n" if ending == "comments" else chunk("m", {"content": ""})))
                await writer.drain()
                await asyncio.sleep(0.02)
        case "trickle":  # a byte of an event that never ends
            for byte in b"data: {" + b" " * 1_000_000:
                writer.write(framed(bytes([byte])))
                await writer.drain()
                await asyncio.sleep(0.05)
        case "stall":
            await asyncio.sleep(3600)
    await writer.drain()
    if ending in ("reset", "half chunk reset"):
        await asyncio.sleep(0.02)  # a reset overtakes what was written just before it
        return "reset"
    return "close"


def play(parts: Sequence[bytes | float], ending: Ending = "whole", headers: dict[str, str] | None = None) -> Reply:
    """A stream of `parts`, a number being a pause in seconds; then the ending. Half of a chunk or event is half of the last."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> str | None:
        writer.write(head(200, None, SSE, headers))
        last = next((part for part in reversed(parts) if isinstance(part, bytes)), chunk("m", {"content": "half"}))
        for part in parts[:-1] if ending.startswith("half") and parts else parts:
            if isinstance(part, bytes):
                writer.write(framed(part))
                await writer.drain()
            else:
                await asyncio.sleep(part)
        return await end(call, writer, ending, last)

    return send


def broken(place: Place, ending: Literal["close", "reset", "stall", "trickle"]) -> Reply:
    """Ends the connection, or falls silent, before any content, at a place of a stream or of a whole answer."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> str | None:
        streaming = bool(call.body.get("stream"))
        whole = orjson.dumps(completion(numbered(20), "m"))
        start = head(200, None, SSE) if streaming else head(200, len(whole), "application/json")
        role = chunk("m", {"role": "assistant", "content": ""})
        part = role if streaming else whole
        written = {
            "before headers": b"",
            "in the headers": start[:30],
            "after the headers": start,
            "in the body": start + (framed(role)[:-20] if streaming else whole[: len(whole) // 2]),
            "between events": head(200, None, SSE if streaming else "application/json") + framed(part[: len(role)]),
            "in a chunk": head(200, None, SSE if streaming else "application/json") + framed(part)[:30],
        }[place]
        writer.write(written)
        await writer.drain()
        if ending == "trickle":
            while True:  # of header lines or of white space before the JSON
                writer.write(b"x-more: y\r\n" if place == "in the headers" else b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        return await end(call, writer, ending)

    return send


def page(body: bytes, content_type: str = "text/html") -> Reply:
    """A 200 that is no answer."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, len(body), content_type) + body)
        await writer.drain()

    return send


def by_mode(whole: Reply, streamed: Reply) -> Reply:
    """One reply for whole answers, another for streams."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        return await (streamed if call.body.get("stream") else whole)(call, writer)

    return send


def crlf(parts: Iterable[bytes]) -> list[bytes]:
    return [part.replace(b"\n", b"\r\n") for part in parts]


def multi_line(part: bytes) -> bytes:
    """The same event with its JSON over two `data:` lines."""
    return part.replace(b'"choices":', b'\ndata: "choices":', 1)


def zipped(parts: Iterable[bytes]) -> Reply:
    """A stream in gzip, in bits that split its events anywhere."""
    body = gzip.compress(b"".join(parts))
    return play([body[i : i + 20] for i in range(0, len(body), 20)], headers={"content-encoding": "gzip"})


def refuses(name: str, status: int = 400) -> Reply:
    """Refuses an optional field by name, and answers without it."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        if name in call.body:
            message = f"Unrecognized request argument supplied: {name}"
            fault = {"error": {"message": message, "type": "invalid_request_error", "param": name, "code": None}}
            return await reply(status, fault)(call, writer)
        return await Persona("fine")(call, writer)

    return send


@dataclass
class Persona:
    """A provider with an answer of its own.

    Attributes:
        text: its answer, streamed word by word.
        prefill: an assistant message at the end is gone on from (perhaps without the space before the next word), refused
            with this status, or not heeded.
        asked: what a user's wish to go on, after an assistant's partial answer, brings: the rest; the rest after the last
            word, the last five or the last sentence once more; or the whole answer.
        on: the text that it goes on in; default: its own. Differs where its own answer begins differently.
        cut_after: tokens after which a stream ends as `ending` says; None: at its end.
        cuts: so many calls are cut; default: all.
        usage: reported in the last chunk where asked for, in each chunk, or never.
        pause_s: between tokens.
        piece: characters of a token; 0: words.
        gate: awaited after `gate_after` tokens.
        odd: partial answers that it could not go on from, since they are no beginning of its text.
    """

    text: str
    prefill: Literal["goes on", "goes on, stripped", "ignores", 400, 422] = "goes on"
    asked: Literal["goes on", "repeats a word", "repeats five words", "repeats a sentence", "afresh"] = "goes on"
    on: str | None = None
    cut_after: int | None = None
    ending: Ending = "close"
    cuts: int = 1 << 30
    usage: Literal["last", "each", "never"] = "last"
    pause_s: float = 0.0
    piece: int = 0
    gate: Callable[[], Awaitable[Any]] | None = None
    gate_after: int = 0
    odd: list[str] = field(default_factory=list)

    async def __call__(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        said = self.says(call.body.get("messages") or [{}])
        if said is None:
            assert isinstance(self.prefill, int)
            return await error(self.prefill, "the last message must have the role user")(call, writer)
        model = call.body.get("model", "m")
        prompt = prompt_tokens(call)
        tokens = re.findall(rf"(?s).{{1,{self.piece}}}", said) if self.piece else pieces(said)
        own = {"id": f"chatcmpl-{id(call):x}", "created": 1_700_000_000 + next(_numbers)}
        if not call.body.get("stream"):
            call.tokens = len(tokens)
            usage = _usage(prompt, len(tokens))
            return await reply(
                200, completion(said, model) | own | ({} if self.usage == "never" else {"usage": usage})
            )(call, writer)
        cut = self.cut_after is not None and self.cuts > 0
        self.cuts -= cut
        asked = bool((call.body.get("stream_options") or {}).get("include_usage"))
        writer.write(head(200, None, SSE) + framed(chunk(model, {"role": "assistant", "content": ""}, **own)))
        for number, token in enumerate(tokens):
            each = {"usage": _usage(prompt, number + 1)} if self.usage == "each" else {}
            part = chunk(model, {"content": token}, **own, **each)
            if self.gate is not None and number == self.gate_after:
                await writer.drain()
                await self.gate()
            if cut and number == self.cut_after:
                return await end(call, writer, self.ending, part)
            writer.write(framed(part))
            await writer.drain()
            call.tokens = number + 1
            if self.pause_s:
                await asyncio.sleep(self.pause_s)
        if cut and self.cut_after is not None and self.cut_after >= len(tokens):
            return await end(call, writer, self.ending, chunk(model, {}, "stop", **own))
        each = {"usage": _usage(prompt, len(tokens))} if self.usage == "each" else {}
        writer.write(framed(chunk(model, {}, "stop", **own, **each)))
        if self.usage == "last" and asked:
            writer.write(framed(chunk(model, None, **own, usage=_usage(prompt, len(tokens)))))
        writer.write(framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
        return None

    def says(self, messages: list[dict[str, Any]]) -> str | None:
        """What it answers; None: it refuses."""
        if messages[-1].get("role") == "assistant":
            if isinstance(self.prefill, int):
                return None
            if self.prefill == "ignores":
                return self.text
            rest = self.rest(messages[-1]["content"])
            return rest.lstrip() if self.prefill == "goes on, stripped" else rest
        if len(messages) > 1 and messages[-2].get("role") == "assistant" and self.asked != "afresh":
            given = messages[-2]["content"]
            again = ""
            if self.asked == "repeats a word":
                again = pieces(given)[-1].strip()
            elif self.asked == "repeats five words":
                again = "".join(pieces(given)[-5:]).strip()
            elif self.asked == "repeats a sentence":
                again = re.split(r"(?<=[.!?])\s+", given)[-1]
            return again + self.rest(given)
        return self.text

    def rest(self, given: str) -> str:
        whole = self.on if self.on is not None else self.text
        if not whole.startswith(given):
            self.odd.append(given)
            return " <no beginning of mine>"
        return whole[len(given) :]


def _usage(prompt: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }
