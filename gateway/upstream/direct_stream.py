"""Reads a stream of a direct call: bytes of the connection in, chunks out."""

import asyncio
import codecs

import aiohttp

from gateway.api.chat.chunk_normalizer import ChunkNormalizer
from gateway.api.chat.stream_reader import ChatReader
from gateway.api.dialect import Reader
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import LARGE, offloaded
from gateway.bodies.sse import MAX_EVENT_BYTES, Event, EventReader
from gateway.core.answer import Chunk
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event
from gateway.upstream.complete_answer import EVENT_LINES, read_answer_object
from gateway.upstream.connection_failure import CLIENT_ERRORS, connection_failure
from gateway.upstream.formats import FORMATS
from gateway.upstream.response_body import COUNTED, READ_SIZE, StreamMeter, check_cost, lenient_object

MAX_BAD_EVENTS = 3  # in a row; fewer unreadable events in a healthy stream are skipped
MAX_FIRST_BYTES = 64 << 10  # of white space before the answer
# An unreadable event contained a part of the answer if one of these is in it. They are only the beginnings of keys and types, and
# `choices` has no quote, since such an event may have other quotes than JSON.
_TEXT_MARKS = (b"choices", b'"delta', b'"text', b'"content', b'"chat.completion', b'"response.', b'"message_')


class DirectStream:
    """Reads the events of one response, or the complete answer that the server sent instead of a stream."""

    def __init__(self, response: aiohttp.ClientResponse, api: Api, choices: int) -> None:
        self._response = response
        self._content = response.content
        self._api = api
        self._reader: Reader = ChatReader(choices=choices) if api == "chat" else FORMATS[api].reader()
        self._normalizer = ChunkNormalizer()  # for the chunks that the reader of another format makes
        self._events = EventReader()
        self._meter = StreamMeter()
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._head: bytes | None = b""  # the first bytes; None after the kind of body is recognised
        self._body: bytearray | None = None  # of a complete answer
        self._unreadable = 0  # unreadable events in a row
        self.size = 0
        self._failure: UpstreamFailure | None = None
        self._ended = False

    async def read(self, deadline: float) -> list[Chunk] | None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return None
        data = await self._receive(deadline)
        size = self.size = self._events.held + len(self._body or b"") + len(data)
        chunks = self._parse(data) if size < LARGE else await offloaded(size, self._parse, data)
        if not chunks and self._failure is not None:
            raise self._failure
        return None if self._ended and not chunks else chunks

    async def _receive(self, deadline: float) -> bytes:
        self._deadline = deadline
        if self._timer is None or deadline < self._timer.when():
            self._start_timer()
        self._waiting = True
        try:
            data = await self._content.read(READ_SIZE)
            await self._meter.received(len(data), self._events.held)
        except CLIENT_ERRORS as exc:
            raise connection_failure(exc) from exc
        finally:
            self._waiting = False
        return data

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._check_silence)

    def _check_silence(self) -> None:
        """Ends a silence that is too long. One timer serves many reads: a timer for each would be a third of their cost."""
        self._timer = None
        if not self._waiting:
            return  # the next read starts it again
        if self._loop.time() < self._deadline:
            self._start_timer()
        else:
            self._content.set_exception(TimeoutError())

    def _parse(self, data: bytes) -> list[Chunk]:
        """The chunks in these bytes. A failure after some of them is raised by the next read, so that no chunk is lost."""
        self._ended = not data
        chunks: list[Chunk] = []
        try:
            if self._head is not None:
                data = self._recognise(data)
            if self._body is not None:
                return self._complete_answer(data)
            if self._head is None:
                for event in self._events.feed(data) if data else self._events.close():
                    if len(event.raw) > COUNTED:
                        check_cost(event.raw)
                    if event.data and (chunk := self._chunk(event, last=not data)) is not None:
                        chunks.append(chunk)
        except UpstreamFailure as failure:
            self._failure = failure
        except ValueError:
            self._failure = UpstreamFailure(Cause.UNREADABLE, detail="event too long")
        return chunks

    def _chunk(self, event: Event, *, last: bool) -> Chunk | None:
        """The chunk of an event; None for a keep-alive, and for one unreadable event in a healthy stream.

        Args:
            last: the stream ended in it, without a blank line.

        Raises:
            UpstreamFailure: the event is an error, or is unreadable and contained a part of the answer.
        """
        reader = self._reader
        if self._ended and reader.ended:  # a few servers report the usage after the end
            return self._late_usage(event)
        try:
            chunk = reader.read(event)
        except (ValueError, RecursionError) as exc:
            self._note_unreadable(event.data or b"", last=last)
            if event.kind == b"error":
                raise UpstreamFailure(Cause.SERVER_ERROR, detail="an error event") from exc
            return None
        if reader.ended:
            self._ended = True
        if chunk is None:
            if event.kind == b"error":
                raise classify_event(lenient_object(event.data or b"")[0])
            return None
        self._unreadable = 0
        if chunk.api != "chat":
            chunk = chunk._replace(fields=self._normalizer.normalize(chunk.fields, strict=bool(chunk.raw)))
        return chunk

    def _late_usage(self, event: Event) -> Chunk | None:
        try:
            chunk = self._reader.read(event)
        except (ValueError, RecursionError, UpstreamFailure):
            return None
        return chunk if chunk is not None and chunk.fields.get("usage") and not chunk.fields["choices"] else None

    def _note_unreadable(self, data: bytes, *, last: bool) -> None:
        """Counts an event that cannot be read.

        Raises:
            UpstreamFailure: it contained a part of the answer, the stream was cut within it, or there were too many in a row.
        """
        lost = any(mark in data for mark in _TEXT_MARKS)
        if not lost and not data.lstrip().startswith((b"{", b"[")):
            return  # a time or a word, by which some servers keep the connection open
        self._unreadable += 1
        if lost or last or self._unreadable >= MAX_BAD_EVENTS:
            raise UpstreamFailure(Cause.UNREADABLE, detail="events that are not chunks")

    def _recognise(self, data: bytes) -> bytes:
        """Recognises a stream or a complete answer by its first bytes, whatever the content type says; returns those bytes."""
        assert self._head is not None
        self._head += data
        if len(self._head) > MAX_FIRST_BYTES:
            raise UpstreamFailure(Cause.UNREADABLE, detail="a stream of white space")
        start = self._head.removeprefix(codecs.BOM_UTF8).lstrip()
        if not start and data:
            return b""
        if start.startswith((b"{", b"[")):
            self._body = bytearray()
        elif self._response.content_type != "text/event-stream" and not start.startswith(EVENT_LINES):
            if data and any(line.startswith(start) for line in EVENT_LINES):
                return b""
            kind = self._response.content_type
            raise UpstreamFailure(Cause.UNREADABLE, detail=f"content type {kind} instead of a stream")
        data, self._head = self._head, None
        return data

    def _complete_answer(self, data: bytes) -> list[Chunk]:
        assert self._body is not None
        self._body += data
        if len(self._body) > MAX_EVENT_BYTES:
            raise ValueError("the answer is too long")
        if not self._ended:
            return []
        if isinstance(self._reader, ChatReader):
            check_cost(bytes(self._body))
            return [self._reader.read_completion(bytes(self._body))]
        form = FORMATS[self._api]
        events = form.events(form.check(read_answer_object(bytes(self._body), self._api)[0]))
        read = [self._reader.read(Event(b"", dumps(event))) for event in events]
        return [chunk for chunk in read if chunk is not None]

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # A connection with unread data cannot be used again. Closing it makes the provider stop.
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()
