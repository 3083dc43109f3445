"""What can go wrong with a good answer: every case has a name, which tells how it was made, and what must hold for it."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from tests.gateway.mutations.answers import ARGUMENTS, DONE, THOUGHT, WORDS, Answer, Event, Fields, said

Path = tuple[Any, ...]


class Raw(str):
    """JSON text that no encoder would write."""


DEEP = Raw("[" * 400 + "]" * 400)
VALUES: dict[str, Any] = {
    "null": None,
    "zero": 0,
    "minus": -1,
    "fraction": 1.5,
    "infinite": Raw("1e400"),
    "big": 10**40,
    "nan": Raw("NaN"),
    "true": True,
    "empty": "",
    "word": "odd",
    "long": "x" * 20_000,
    "controls": Raw('"\\u0000\\u001b[2J\x01"'),
    "surrogate": Raw('"\\ud800"'),
    "list": [],
    "object": {},
    "numbers": [5, [5]],
    "nested": {"a": [{"type": 5}]},
    "deep": DEEP,
}
ENDING: dict[str, Path] = {
    "chat": ("choices", 0, "finish_reason"),
    "completions": ("choices", 0, "finish_reason"),
    "messages": ("delta", "stop_reason"),
    "responses": ("type",),
}
HARMLESS = frozenset(
    "created created_at id logprobs metadata model role sequence_number signature stop_sequence system_fingerprint usage".split()  # noqa: SIM905
)
ERRORS: tuple[Any, ...] = (
    {"error": {"message": "overloaded", "type": "overloaded_error"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    {"error": "no"},
    {"error": {"message": {"a": [1]}, "code": [1], "type": 5}},
    {"error": {"code": 500}},
    {"error": [{"message": "no"}]},
    {"type": "error", "code": "server_error", "message": "no", "param": None, "sequence_number": 3},
)
OF_RESPONSES: tuple[Any, ...] = (
    {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "no"}}},
    {"type": "response.failed", "response": {"status": "failed", "error": None}},
)


@dataclass(frozen=True)
class Case:
    """One broken answer.

    Attributes:
        name: how it was made; it finds the case again.
        body: the payload.
        lost: words of the text that a success may lack, since the answer no longer says them.
        never: it must not look like a success.
        surely: nothing of it matters: it must be a success.
        head: the whole response head; None: as usual.
        end: how the connection ends.
    """

    name: str
    answer: Answer
    stream: bool
    body: bytes
    lost: frozenset[str] = frozenset()
    never: bool = False
    surely: bool = False
    head: bytes | None = None
    end: Literal["whole", "close", "reset", "keep"] = "whole"
    error_status: bool = False

    def written(self) -> bytes:
        """The bytes of the response."""
        if self.head is not None:
            return self.head + self.body
        kind = b"text/event-stream" if self.stream else b"application/json"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: " + kind
        if self.end == "keep":
            return b"%b\r\ncontent-length: %d\r\n\r\n%b" % (head, len(self.body), self.body)
        step = 700
        parts = [self.body[i : i + step] for i in range(0, len(self.body), step)]
        told = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return head + b"\r\ntransfer-encoding: chunked\r\n\r\n" + told + (b"0\r\n\r\n" if self.end == "whole" else b"")


def encode(value: Any) -> bytes:
    if isinstance(value, Raw):
        return str(value).encode()
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(str(k)).encode() + b":" + encode(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(encode, value)) + b"]"
    return json.dumps(value).encode()


class Same(str):
    """A key that is written as another one, which the object has too."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def event_bytes(event: Event, data: bytes | None = None) -> bytes:
    data = event.data() if data is None else data
    return (b"event: %b\n" % event.kind.encode() if event.kind else b"") + b"data: %b\n\n" % data


def places(value: Any, way: Path = ()) -> Iterator[Path]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*way, key)
        yield from places(inner, (*way, key))


def at(value: Any, way: Path) -> Any:
    for key in way:
        value = value[key]
    return value


def changed(value: Any, way: Path, change: Any) -> Any:
    """A copy with the holder of a place changed by a function of the holder and the place's key."""
    if len(way) == 1:
        return change(value, way[0])
    inner = changed(value[way[0]], way[1:], change)
    if isinstance(value, dict):
        return value | {way[0]: inner}
    return [*value[: way[0]], inner, *value[way[0] + 1 :]]


def _put(new: Any) -> Any:
    def change(holder: Any, key: Any) -> Any:
        if isinstance(holder, dict):
            return holder | {key: new}
        return [*holder[:key], new, *holder[key + 1 :]]

    return change


def _removed(holder: Any, key: Any) -> Any:
    if isinstance(holder, dict):
        return {k: v for k, v in holder.items() if k != key}
    return [*holder[:key], *holder[key + 1 :]]


def _renamed(holder: Any, key: Any) -> Any:
    return {f"{k}_" if k == key else k: v for k, v in holder.items()} if isinstance(holder, dict) else holder


def _twice(holder: Any, key: Any) -> Any:
    return {**holder, Same(key): holder[key]} if isinstance(holder, dict) else [*holder, holder[key]]


def _contradicted(holder: Any, key: Any) -> Any:
    return {Same(key): None, **holder} if isinstance(holder, dict) else [None, *holder]


def changes_of(value: Fields) -> Iterator[tuple[str, Path, Any, Any]]:
    """Each way to put one place wrong: its name, the place, what is there then (None: nothing), and the whole value."""
    for way in places(value):
        label = ".".join(map(str, way))
        for name, new in VALUES.items():
            yield f"{label}={name}", way, new, changed(value, way, _put(new))
        yield f"{label} removed", way, None, changed(value, way, _removed)
        if isinstance(way[-1], str):
            yield f"{label} renamed", way, None, changed(value, way, _renamed)
            yield f"{label} twice", way, at(value, way), changed(value, way, _twice)
            yield f"{label} contradicted", way, at(value, way), changed(value, way, _contradicted)


def _is_harmless(way: Path, name: str) -> bool:
    return bool(HARMLESS & set(map(str, way))) and not name.endswith("=deep")


def _may_lack(value: Any, way: Path) -> frozenset[str]:
    """Words that a value no longer says once a place in it is wrong: what is there, or what its type tells how to read."""
    if way[-2:] == ("content_block", "type") or way[-1] == "input":
        return frozenset((*ARGUMENTS, *WORDS, THOUGHT))  # of an unknown kind of block
    return said(at(value, way[:-1] if way[-1] in ("type", "name") or "input" in way else way))


def whole_values(answer: Answer) -> Iterator[Case]:
    for name, way, _, value in changes_of(answer.whole):
        same = name.endswith(("twice", "contradicted"))
        lost = frozenset[str]() if same else _may_lack(answer.whole, way)
        surely = _is_harmless(way, name) and answer.api != "embeddings"
        yield Case(f"whole {name}", answer, False, encode(value), lost, surely=surely)


def stream_values(answer: Answer) -> Iterator[Case]:
    for i, event in enumerate(answer.events):
        if not isinstance(event.value, dict):
            continue
        for name, way, new, value in changes_of(event.value):
            same = name.endswith(("twice", "contradicted"))
            ended = isinstance(new, str) and new != "" and not (isinstance(new, Raw) and not new.startswith('"'))
            never = event.ends and way in (ENDING[answer.api], ("type",)) and not same and not ended
            never = never or (event.ends and way == ("type",) and not same)
            lost = frozenset[str]() if same else _may_lack(event.value, way)
            parts = [event_bytes(one, encode(value) if i == j else None) for j, one in enumerate(answer.events)]
            surely = _is_harmless(way, name) and not never
            yield Case(f"event {i}: {name}", answer, True, b"".join(parts), lost, never, surely)


def sequences(answer: Answer) -> Iterator[Case]:
    """Events that are missing, doubled, in another order, or among others."""
    events = list(answer.events)
    count = len(events)

    def case(name: str, order: list[Event], **more: Any) -> Case:
        return Case(name, answer, True, b"".join(map(event_bytes, order)), **more)

    for i, event in enumerate(events):
        yield case(f"without event {i}", events[:i] + events[i + 1 :], lost=said(event.value), never=event.ends)
        yield case(f"event {i} twice", events[: i + 1] + events[i:])
        yield case(f"stream twice up to {i}", events[: i + 1] + events)
        lost = frozenset[str]().union(*(said(one.value) for one in events[i:]))
        never = any(one.ends for one in events[i:])
        yield case(f"only {i} events", events[:i], lost=lost, never=never)
        if i + 1 < count:
            lost = said(event.value) | said(events[i + 1].value)
            yield case(
                f"events {i} and {i + 1} in turn", [*events[:i], events[i + 1], event, *events[i + 2 :]], lost=lost
            )
        for junk in (
            {}, None, [], 5, True, "", "word", [1], {"type": "ping"}, {"choices": None}, {"choices": []}, {"type": None}, {"type": 5}, {"choices": [{}]},
            {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": None}]},
        ):  # fmt: skip
            parts = [
                *map(event_bytes, events[:i]),
                event_bytes(Event(None), encode(junk)),
                *map(event_bytes, events[i:]),
            ]
            yield Case(f"{encode(junk).decode()} before event {i}", answer, True, b"".join(parts))
        for j, error in enumerate(ERRORS + OF_RESPONSES * (answer.api == "responses")):
            never = any(one.ends for one in events[i:])
            for kind in ("", "error"):
                broken = event_bytes(Event(error, kind))
                parts = [*map(event_bytes, events[:i]), broken, *map(event_bytes, events[i:])]
                yield Case(f"error {j} {kind} before event {i}", answer, True, b"".join(parts), never=never)
        parts = [*map(event_bytes, events[:i]), b"event: error\ndata: oh no\n\n", *map(event_bytes, events[i:])]
        yield Case(f"plain error before event {i}", answer, True, b"".join(parts), never=never)
        for blank in (
            b": comment\n\n",
            b"\n\n\n",
            b"event: ping\ndata: {}\n\n",
            b"event: ping\n\n",
            b"data:\n\n",
            b"id: 7\nretry: 5\n\n",
        ):
            parts = [*map(event_bytes, events[:i]), blank, *map(event_bytes, events[i:])]
            yield Case(f"{blank!r} before event {i}", answer, True, b"".join(parts), surely=True)
        lost = frozenset[str]().union(*(said(one.value) for one in events[i:]))
        early = [*events[:i], Event(DONE), *events[i:]]
        yield case(f"[DONE] before event {i}", early, never=never and answer.api in ("chat", "completions"))
        yield case(f"[DONE] in place of all from event {i} on", [*events[:i], Event(DONE)], lost=lost, never=never)
    yield case("[DONE] twice", [*events, Event(DONE)], surely=True)
    if events[-1].value == DONE:
        yield case("no [DONE]", events[:-1], surely=True)


def stream_bytes(answer: Answer) -> Iterator[Case]:
    """Bytes that are cut, changed or written in another way."""
    parts = [event_bytes(event) for event in answer.events]
    body = b"".join(parts)
    last = next(i for i, event in enumerate(answer.events) if event.ends)
    ending = sum(map(len, parts[: last + 1])) - 2  # the JSON of the ending is whole
    for n in range(0, len(body), 7):
        words = frozenset[str]().union(*(said(event.value) for event in answer.events)) if n < ending else frozenset()
        for end in ("whole", "close", "reset"):
            yield Case(f"cut at {n}, {end}", answer, True, body[:n], words, n < ending, end=end)
    for name, new in (
        ("no space behind data:", body.replace(b"data: ", b"data:")),
        ("CRLF", body.replace(b"\n", b"\r\n")),
        ("CR", body.replace(b"\n", b"\r")),
        ("a mark of byte order", b"\xef\xbb\xbf" + body),
        ("blank lines first", b"\n\n\r\n" + body),
        ("no blank line at the end", body.rstrip(b"\n")),
        ("ids", body.replace(b"data: ", b"id: 1\ndata: ")),
        ("event: message", body if answer.api != "chat" else body.replace(b"data: ", b"event: message\ndata: ")),
        ("spaces behind lines", body.replace(b"}\n\n", b"}  \n\n")),
        ("data over several lines", body.replace(b',"', b',\ndata: "')),
        ("three line ends", body.replace(b"\n\n", b"\n\n\n")),
    ):
        yield Case(name, answer, True, new, surely=True)
    for i, event in enumerate(answer.events):
        data, here = event.data(), said(event.value)
        before, after = b"".join(parts[:i]), b"".join(parts[i + 1 :])

        def case(name: str, new: bytes, i: int = i, before: bytes = before, after: bytes = after, **more: Any) -> Case:
            return Case(f"event {i}: {name}", answer, True, before + new + after, **more)

        if i + 1 < len(parts):
            yield case("joined with the next", parts[i][:-1])
            yield case("without its end", parts[i][:-2])
        yield case("bytes that are not UTF-8", event_bytes(event, data.replace(b"a", b"\xff", 1)), lost=here)
        yield case("cut in half", event_bytes(event, data[: len(data) // 2]), never=event.ends)
        yield case("its end missing", event_bytes(event, data[:-1]), never=event.ends)
        yield case("its beginning missing", event_bytes(event, data[1:]), never=event.ends)
        yield case("in a list", event_bytes(event, b"[" + data + b"]"), never=event.ends)
        yield case("as a text", event_bytes(event, encode(data.decode())), never=event.ends)
        yield case("control characters", event_bytes(event, data.replace(b"a", b"\x01\x07", 1)), lost=here)
        yield case("another name", event_bytes(replace(event, kind="odd")))
        yield case("no name", event_bytes(replace(event, kind="")), surely=True)
        yield case("no data: before it", data + b"\n\n")
        yield case("another field", b"date: " + data + b"\n\n", lost=here, never=event.ends)
        for n in range(3, len(data), 17):
            flipped = data[:n] + bytes([data[n] ^ 0x11]) + data[n + 1 :]
            yield case(f"byte {n} changed", event_bytes(event, flipped), lost=here)
            yield case(f"byte {n} missing", event_bytes(event, data[:n] + data[n + 1 :]), lost=here)
            yield case(f"byte {n} doubled", event_bytes(event, data[: n + 1] + data[n:]), lost=here)
            yield case(f"new line at {n}", event_bytes(event, data[:n] + b"\n" + data[n:]), lost=here)


def whole_bytes(answer: Answer) -> Iterator[Case]:
    body = orjson.dumps(answer.whole)
    words = said(answer.whole)
    for n in range(0, len(body), 11):
        for end in ("keep", "close", "reset"):
            yield Case(f"whole cut at {n}, {end}", answer, False, body[:n], words, never=True, end=end)
        flipped = body[:n] + bytes([body[n] ^ 0x11]) + body[n + 1 :]
        yield Case(f"whole byte {n} changed", answer, False, flipped, words)
        yield Case(f"whole byte {n} missing", answer, False, body[:n] + body[n + 1 :], words)
    for name, new in (
        ("a mark of byte order", b"\xef\xbb\xbf" + body),
        ("blanks around", b" \n\r\n" + body + b"\n\n  "),
    ):
        yield Case(f"whole {name}", answer, False, new, surely=True)
    for name, new in (
        ("twice", body + body),
        ("in a list", b"[" + body + b"]"),
        ("as a text", encode(body.decode())),
        ("nothing", b""),
        ("blanks", b"  \n"),
        ("null", b"null"),
        ("an empty list", b"[]"),
        ("an empty object", b"{}"),
        ("a page", b"<!doctype html><html><title>Sign in</title></html>"),
        ("UTF-16", body.decode().encode("utf-16")),
        ("deep", b"[" * 100_000),
        ("only [DONE]", b"data: [DONE]\n\n"),
        *((f"error {i}", orjson.dumps(error)) for i, error in enumerate(ERRORS)),
    ):
        for kind in (False, True) if answer.events else (False,):
            yield Case(f"whole {name}{' as a stream' * kind}", answer, kind, new, words, never=True)
    yield Case("whole bytes that are not UTF-8", answer, False, body.replace(b"a", b"\xff", 1), words)


def http(answer: Answer, *, stream: bool) -> Iterator[Case]:
    """What goes wrong around a good body."""
    body = b"".join(map(event_bytes, answer.events)) if stream else orjson.dumps(answer.whole)
    kind = b"content-type: text/event-stream\r\n" if stream else b"content-type: application/json\r\n"
    length = b"content-length: %d\r\n" % len(body)
    squeezed = gzip.compress(body)
    deflated = zlib.compress(body)
    words = said(answer.whole)

    def case(name: str, head: bytes, new: bytes = body, **more: Any) -> Case:
        label = f"HTTP, {'stream' if stream else 'whole'}: {name}"
        return Case(label, answer, stream, new, head=head + b"\r\n", **more)

    def ok(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
        return status + b"\r\n" + b"".join(lines)

    def packed(encoding: bytes, data: bytes) -> bytes:
        return ok(kind, b"content-encoding: %b\r\ncontent-length: %d\r\n" % (encoding, len(data)))

    for other in (
        b"text/plain",
        b"application/octet-stream",
        b"text/html; charset=latin-1",
        b"application/json",
        b"text/event-stream",
        b"",
        b";;=",
        b"a" * 500,
    ):
        yield case(f"content type {other[:30]!r}", ok(b"content-type: " + other + b"\r\n", length), surely=True)
    yield case("no content type", ok(length), surely=True)
    yield case("until the connection ends", ok(kind), surely=True)
    yield case("HTTP/1.0", ok(kind, length, status=b"HTTP/1.0 200 OK"), surely=True)
    yield case("no reason", ok(kind, length, status=b"HTTP/1.1 200"), surely=True)
    for status in (201, 202, 203, 206, 299):
        yield case(f"status {status}", ok(kind, length, status=b"HTTP/1.1 %d X" % status), surely=True)
    for status in (204, 205, 304):
        yield case(f"status {status}", ok(status=b"HTTP/1.1 %d X" % status), b"", never=True)
    for status in (100, 101, 102, 103, 199, 300, 301, 302, 303, 305, 307, 308, 399, 600, 999, 0, 42):
        lines = (kind, length, b"location: http://127.0.0.1:9/\r\n")
        never = status >= 300 or status < 100
        yield case(f"status {status}", ok(*lines, status=b"HTTP/1.1 %03d X" % status), never=never, error_status=True)
    for status in (
        400,
        401,
        402,
        403,
        404,
        405,
        408,
        409,
        410,
        413,
        415,
        418,
        422,
        424,
        425,
        429,
        431,
        451,
        498,
        499,
        500,
        501,
        502,
        503,
        504,
        520,
        529,
        599,
    ):
        line = b"HTTP/1.1 %d X" % status
        yield case(f"status {status} with an answer", ok(kind, length, status=line), never=True, error_status=True)
        for i, error in enumerate(
            (
                *ERRORS,
                [],
                None,
                "no",
                {"detail": [{"msg": 5, "loc": [1]}]},
                DEEP,
                {"error": {"message": DEEP}},
                Raw("{"),
                Raw(""),
            )
        ):
            data = encode(error)
            head = ok(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(data), status=line)
            yield case(f"status {status} with error {i}", head, data, never=True, error_status=True)
    for retry in (b"-1", b"1e400", b"NaN", b"9" * 400, b"soon", b"Wed, 21 Oct 2099 07:28:00 GMT", b"\xff", b""):
        head = ok(b"retry-after: " + retry + b"\r\ncontent-length: 2\r\n", status=b"HTTP/1.1 429 X")
        yield case(f"retry-after {retry[:12]!r}", head, b"{}", never=True, error_status=True)
    yield case("compressed", packed(b"gzip", squeezed), squeezed, surely=True)
    yield case("deflated", packed(b"deflate", deflated), deflated, surely=True)
    yield case("compressed, by its older name", packed(b"x-gzip", squeezed), squeezed)
    yield case("an unknown encoding", packed(b"rot13", body))
    yield case("an encoding that is none", packed(b"identity", body), surely=True)
    yield case("not compressed", packed(b"gzip", body), never=True)
    yield case("not deflated", packed(b"deflate", body))
    for n in (0, 1, 9, 10, len(squeezed) // 2, len(squeezed) - 9):
        yield case(
            f"compressed and cut at {n}",
            packed(b"gzip", squeezed[:n]),
            squeezed[:n],
            lost=words,
            never=n < len(squeezed) - 20,
        )
    half = bytearray(squeezed)
    half[len(half) // 2] ^= 0xFF
    yield case("compressed and damaged", packed(b"gzip", squeezed), bytes(half), lost=words)
    yield case("too short a length", ok(kind, b"content-length: %d\r\n" % (len(body) // 2)), lost=words, never=True)
    yield case("too long a length", ok(kind, b"content-length: %d\r\n" % (len(body) + 50)), never=not stream)
    yield case("two equal lengths", ok(kind, length, length))
    yield case("two lengths", ok(kind, length, b"content-length: 5\r\n"), never=True)
    yield case("a length below zero", ok(kind, b"content-length: -5\r\n"), never=True)
    yield case("a length that is a word", ok(kind, b"content-length: many\r\n"), never=True)
    chunked = b"transfer-encoding: chunked\r\n"
    good = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield case("chunks with extensions", ok(kind, chunked), good.replace(b"\r\n", b";a=b\r\n", 1), surely=True)
    yield case("trailers", ok(kind, chunked), good[:-2] + b"x-end: 1\r\n\r\n", surely=True)
    yield case("chunks and a length", ok(kind, chunked, length), good)
    yield case("chunks of no size", ok(kind, chunked), b"zz\r\n" + body, never=True)
    yield case("chunks of a size below zero", ok(kind, chunked), b"-5\r\n" + body, never=True)
    yield case("chunks that are none", ok(kind, chunked), never=True)
    for name, lines in (
        ("a large header", b"x-large: " + b"a" * 60_000 + b"\r\n"),
        ("too large a header", b"x-large: " + b"a" * 200_000 + b"\r\n"),
        ("many headers", b"".join(b"x-%d: 1\r\n" % i for i in range(300))),
        ("too many headers", b"".join(b"x-%d: 1\r\n" % i for i in range(3000))),
        ("a header without a colon", b"nothing\r\n"),
        ("a header of nothing", b": x\r\n"),
        ("a folded header", b"x-a: 1\r\n 2\r\n"),
        ("control characters in a header", b"x-a: \x00\x01\x1b\r\n"),
        ("a header that is not ASCII", "x-ä: \xff\r\n".encode("latin-1")),
        ("cookies", b"set-cookie: a=b\r\n" * 20),
        ("a header of ours", b"x-locus-model: theirs\r\nx-request-id: theirs\r\n"),
        ("an upgrade", b"connection: upgrade\r\nupgrade: h2c\r\n"),
    ):
        yield case(name, ok(kind, length, lines))
    yield case("no head", b"", body, never=not stream)
    yield case("no HTTP", b"SSH-2.0-OpenSSH\r\n", b"", never=True)
    yield case("a cut head", b"HTTP/1.1 200 O", b"", never=True)
    for end in ("close", "reset"):
        yield replace(case(f"nothing, {end}", b"", b"", never=True, end=end), head=b"")
    yield case("twice on one connection", ok(kind, length), body + ok(kind, length) + b"\r\n" + body, end="keep")
    yield case("junk behind it", ok(kind, length), body + b"junk\r\n\r\n", end="keep")
    yield case("an early hint first", b"HTTP/1.1 103 X\r\nlink: <a>\r\n\r\n" + ok(kind, length), surely=True)


def cases_of(answer: Answer, *, stream: bool) -> list[Case]:
    """All that is done to a good answer."""
    if stream:
        made = [stream_values(answer), sequences(answer), stream_bytes(answer), http(answer, stream=True)]
        made.append(case for case in whole_bytes(answer) if case.stream)
    else:
        made = [whole_values(answer), http(answer, stream=False)]
        made.append(case for case in whole_bytes(answer) if not case.stream)
    return [case for cases in made for case in cases]
