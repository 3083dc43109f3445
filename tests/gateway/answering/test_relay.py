"""A provider's stream for one client: what is held back, how long silence may last, and how a continuation joins."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest

from gateway.answering.relay import Relay
from gateway.answering.splice import Splice
from gateway.answering.transcript import Transcript
from gateway.api.chat.stream_writer import ChatWriter
from gateway.core.answer import Chunk
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.chat_request import parse_chat

pytestmark = pytest.mark.anyio

REQUEST = parse_chat(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}))
LATER_S = 100.0


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> Chunk:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    fields = {"id": "c1", "created": 1, "model": "up-m", "choices": choices} | more
    return Chunk(b"data: " + orjson.dumps(fields) + b"\n\n", fields)


ROLE, HEL, LO, STOP = (
    chunk({"role": "assistant"}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
)
USAGE = Chunk(b"data: x\n\n", {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
ALIVE: list[Chunk] = []


class Source:
    """A provider's stream by a script: lists of chunks, a failure, or the end."""

    size = 1

    def __init__(self, steps: Iterable[list[Chunk] | UpstreamFailure]) -> None:
        self.steps = list(steps)
        self.waits: list[float] = []
        self.closed = False

    async def read(self, deadline: float) -> list[Chunk] | None:
        self.waits.append(deadline - asyncio.get_running_loop().time())
        if not self.steps:
            return None
        step = self.steps.pop(0)
        if step == ALIVE:
            await asyncio.sleep(0.03)
        if isinstance(step, UpstreamFailure):
            raise step
        return step

    async def aclose(self) -> None:
        self.closed = True


def relay(
    source: Source, transcript: Transcript | None = None, splice: Splice | None = None, *, alone: bool = False
) -> Relay:
    return Relay(
        source,
        "m",
        transcript or Transcript(REQUEST),
        ChatWriter(usage_requested=True),
        10.0,
        1_000.0,
        lambda: alone,
        splice,
    )


async def opened(relay: Relay) -> Relay:
    await relay.open(asyncio.get_running_loop().time() + LATER_S)
    return relay


async def read_all(relay: Relay) -> list[dict[str, Any]]:
    events = []
    while (data := await relay.read()) is not None:
        events += [orjson.loads(event.removeprefix(b"data: ")) for event in data.split(b"\n\n") if event]
    return events


def failing(expected: Cause) -> Callable[[UpstreamFailure], bool]:
    return lambda failure: failure.cause is expected


async def test_a_stream_gets_the_public_name_and_keeps_everything_else() -> None:
    source = Source([[ROLE], [HEL], [LO, STOP], [USAGE]])
    stream = await opened(relay(source))
    assert len(source.steps) == 2  # role and first content are held
    events = await read_all(stream)
    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant"},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert {event["model"] for event in events} == {"m"}
    assert stream.transcript.text == "Hello"
    assert stream.usage == Usage(3, 2)  # taken out of the stream
    await stream.aclose()
    assert source.closed


async def test_a_stream_that_ends_or_fails_before_content_fails_to_open() -> None:
    with pytest.raises(UpstreamFailure, check=failing(Cause.UNREADABLE)):
        await opened(relay(Source([[ROLE], ALIVE])))
    with pytest.raises(UpstreamFailure, check=failing(Cause.OVERLOADED)):
        await opened(relay(Source([[ROLE], UpstreamFailure(Cause.OVERLOADED)])))


async def test_signs_of_life_before_content_postpone_the_deadline() -> None:
    source = Source([ALIVE, [HEL]])
    stream = relay(source)
    await stream.open(asyncio.get_running_loop().time() + 1.0)
    assert source.waits == pytest.approx([1.0, 10.0], abs=0.5)


async def test_an_end_without_a_finish_reason_is_a_failure_and_one_after_it_is_not() -> None:
    stream = await opened(relay(Source([[HEL]])))
    with pytest.raises(UpstreamFailure, check=failing(Cause.UNREADABLE)):
        await read_all(stream)
    whole = await opened(relay(Source([[HEL], [STOP], UpstreamFailure(Cause.CONNECTION)])))
    assert len(await read_all(whole)) == 2
    assert whole.usage is None


@pytest.mark.parametrize("alone", [False, True])
async def test_signs_of_life_after_content_count_only_if_no_other_deployment_could_continue(alone: bool) -> None:
    source = Source([[HEL], ALIVE, [STOP]])
    stream = await opened(relay(source, alone=alone))
    await read_all(stream)
    _, silent, alive, _ = source.waits
    assert (alive > silent - 0.02) is alone  # the deadline moves, or it stands


async def test_the_estimate_is_of_its_own_part() -> None:
    transcript = Transcript(REQUEST)
    first = await opened(relay(Source([[chunk({"content": "x" * 40})], [HEL]]), transcript))
    await first.read()
    assert first.estimate == 10  # four characters a token
    await first.read()
    await first.aclose()
    transcript.add(chunk({"content": "another model's"}).fields)
    assert first.estimate == 11


async def test_a_continuation_gives_only_what_is_new() -> None:
    transcript = Transcript(REQUEST)
    transcript.add(chunk({"content": "The quick"}).fields)
    source = Source([[ROLE, chunk({"content": "The qu"}, id="c2")], [chunk({"content": "ick fox"}, id="c2")], [STOP]])
    stream = await opened(relay(source, transcript, Splice(transcript.pieces, "fresh")))
    events = await read_all(stream)
    assert [event["choices"][0]["delta"] for event in events] == [{"content": " fox"}, {}]
    assert {event["id"] for event in events} == {"c1"}


async def test_a_continuation_that_says_something_else_diverges() -> None:
    transcript = Transcript(REQUEST)
    transcript.add(chunk({"content": "The quick"}).fields)
    source = Source([[chunk({"content": "A lazy dog"})]])
    with pytest.raises(UpstreamFailure, check=failing(Cause.DIVERGED)):
        await opened(relay(source, transcript, Splice(transcript.pieces, "fresh")))
