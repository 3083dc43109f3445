"""Sends spans to a collector over OTLP/HTTP, in batches and outside the request path.

`add` only appends to a bounded buffer. If the collector is away, slow or too busy, spans wait and are sent again later; if the
buffer is full, the oldest are dropped and counted. A collector that refuses a batch gets it only once.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import aiohttp

from gateway import __version__
from gateway.core.safe_logging import log_exception
from gateway.telemetry import semconv
from gateway.telemetry.options import Options

log = logging.getLogger("locus.telemetry")

BUFFER_BYTES = 16 << 20  # of the spans that wait
BATCH_BYTES = 1 << 20  # of one export; a buffer with as many is sent at once
FLUSH_S = 5.0  # for the last spans at a stop
MAX_RETRY_S = 30.0
_AGAIN = frozenset({429, 502, 503, 504})  # the statuses after which the protocol allows another try


class ProxyAddress(Protocol):
    """A proxy: its URL and its own headers."""

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


ProxyFor = Callable[[str], ProxyAddress | None]


class Encoded(NamedTuple):
    """The spans of one request, as a `ScopeSpans` message."""

    data: bytes
    spans: int


class CannotSend(Exception):
    """An export failed; the text says why, without the address.

    Attributes:
        again: the same spans may be sent again.
        after_s: the collector asks for at least this pause, seconds.
    """

    def __init__(self, why: str, *, again: bool = True, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.again = again
        self.after_s = after_s


class Exporter:
    """Sends the spans of one process. `aclose` sends what is left.

    Args:
        options: read before each export, since a reload may change them; None: the export was turned off.
        proxy_for: the proxy that a URL is called through.

    Attributes:
        lost: spans that were dropped, refused by the collector, or not sent before the stop.
    """

    def __init__(self, options: Callable[[], Options | None], proxy_for: ProxyFor) -> None:
        self.lost = 0
        self._options = options
        self._proxy_for = proxy_for
        self._buffer: deque[Encoded] = deque()
        self._size = 0
        self._full = asyncio.Event()  # there is enough for a batch, or the exporter is stopped
        self._stopped = False
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def add(self, encoded: Encoded) -> None:
        """Add spans to the buffer. It never blocks and never fails."""
        self._buffer.append(encoded)
        self._size += len(encoded.data)
        self._drop_oldest()
        if self._size >= BATCH_BYTES:
            self._full.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="spans")

    async def aclose(self) -> None:
        """Send what is left, for at most `FLUSH_S` seconds."""
        self._stopped = True
        self._full.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=FLUSH_S)
            self._task.cancel()
            await asyncio.wait([self._task])
        if left := sum(encoded.spans for encoded in self._buffer):
            self.lost += left
            log.warning("%d spans could not be sent before the stop", left)
            self._buffer.clear()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            pause_s = 0.0
            while not (self._stopped and not self._buffer):
                options = self._options()
                delay_s = options.delay_s if options is not None else MAX_RETRY_S
                await self._wait(max(delay_s, pause_s), at_once=not pause_s)
                pause_s = await self._export_all(session, pause_s)
                if pause_s and self._stopped:
                    return

    async def _wait(self, seconds: float, *, at_once: bool) -> None:
        """Wait, but not longer than until the exporter is stopped; with `at_once` also not longer than until a batch is full."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._stopped and (left := until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), left)
            if at_once or self._stopped:
                return
            self._full.clear()

    async def _export_all(self, session: aiohttp.ClientSession, paused_s: float) -> float:
        """Send all spans of the buffer; returns the pause before the next try, 0 if nothing failed."""
        self._full.clear()
        while self._buffer and (options := self._options()) is not None:
            batch = self._take()
            spans = sum(encoded.spans for encoded in batch)
            try:
                self.lost += await self._post(session, options, b"".join([encoded.data for encoded in batch]))
            except CannotSend as exc:
                if exc.again:
                    self._put_back(batch)
                else:
                    self.lost += spans
                self._report_failure(options, exc)
                if exc.again:
                    return max(exc.after_s, min(MAX_RETRY_S, 2 * paused_s or 1.0))
            except asyncio.CancelledError:
                self._put_back(batch)
                raise
            except Exception as exc:  # a defect: these spans are lost, and the export goes on
                self.lost += spans
                log_exception(log, "spans cannot be sent", exc)
            else:
                self._report_sent()
        return 0.0

    def _take(self) -> list[Encoded]:
        batch, size = [], 0
        while self._buffer and size < BATCH_BYTES:
            batch.append(self._buffer.popleft())
            size += len(batch[-1].data)
        self._size -= size
        return batch

    def _put_back(self, batch: list[Encoded]) -> None:
        self._buffer.extendleft(reversed(batch))
        self._size += sum(len(encoded.data) for encoded in batch)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self._size > BUFFER_BYTES:
            oldest = self._buffer.popleft()
            self._size -= len(oldest.data)
            self.lost += oldest.spans

    async def _post(self, session: aiohttp.ClientSession, options: Options, spans: bytes) -> int:
        """Send one batch; returns the number of spans that the collector refused.

        Raises:
            CannotSend: no span arrived.
        """
        proxy = self._proxy_for(options.url)
        try:
            async with session.post(
                options.url,
                data=_export_request(spans, options),
                headers={"content-type": "application/x-protobuf", **options.headers},
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else proxy.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=options.timeout_s),
            ) as response:
                body = await response.content.read(BATCH_BYTES)
                if 200 <= response.status < 300:
                    return _refused_spans(body)
                after = response.headers.get("retry-after", "")
                after_s = min(float(after), MAX_RETRY_S) if after.isdigit() else 0.0
                raise CannotSend(f"status {response.status}", again=response.status in _AGAIN, after_s=after_s)
        except TimeoutError as exc:
            raise CannotSend(f"no answer within {options.timeout_s:g} s") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise CannotSend(type(exc).__name__) from exc

    def _report_failure(self, options: Options, why: CannotSend) -> None:
        """Log that spans are not sent, once until some are sent again."""
        if not self._failing:
            self._failing = True
            meanwhile = (
                "they wait, and the oldest are dropped if there are too many" if why.again else "they are dropped"
            )
            log.warning("spans cannot be sent to %s (%s); %s", urlsplit(options.url).hostname, why, meanwhile)

    def _report_sent(self) -> None:
        if self._failing:
            self._failing = False
            log.info("spans are sent again; %d were lost", self.lost)


def _export_request(spans: bytes, options: Options) -> bytes:
    """The body of an export.

    Args:
        spans: joined `ScopeSpans` messages.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in options.resource.items():
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    scope_spans = resource_spans.scope_spans.add(schema_url=semconv.SCHEMA_URL)
    scope_spans.scope.name, scope_spans.scope.version = "locus", __version__
    scope_spans.MergeFromString(spans)
    return request.SerializeToString()


def _refused_spans(body: bytes) -> int:
    """The number of spans that the collector refused although it took the batch."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        return ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
    except DecodeError:  # some collectors answer with JSON
        return 0
