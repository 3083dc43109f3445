"""The cache for answers, as one request uses it: looks its answer up, waits for an equal request under way, and stores its own.

What the cache may do is decided by `gateway.cache.directives`, and which answers are stored by the forms of each API format.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import orjson

from gateway.api.dialect import Headers
from gateway.bodies.offload import offloaded
from gateway.cache.cache_key import cache_key
from gateway.cache.directives import Directives, directives
from gateway.cache.entry import CREATED, ID, Entry, NotStored, Templates, rendered
from gateway.cache.forms import FORMS, Form
from gateway.config.portfolio import Portfolio
from gateway.core.chat_types import ChatUsage
from gateway.core.key_digest import key_digest
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Api
from gateway.http.accounting import RequestLog
from gateway.http.service import Service
from gateway.provider_errors.failures import UpstreamFailure
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.routing.requested_policy import policy_name

log = logging.getLogger("locus.cache")


async def cached_answer(
    api: Api,
    request: ChatRequest,
    conversation: Conversation,
    headers: Headers,
    request_log: RequestLog,
    service: Service,
) -> "CachedAnswer | None":
    """Return the cache for a request; None if the cache is not used for it."""
    in_force = request_log.in_force
    portfolio = in_force.portfolio
    if api not in FORMS or (request.overrides.cache is None and not portfolio.cache_ttl_s):
        return None
    allowed = directives(request, portfolio, policy_name(portfolio, request), headers)
    if allowed is None:
        return None
    turn = conversation.sticky_turn
    key = await offloaded(
        len(request.body),
        cache_key,
        request,
        api,
        key_digest(headers),
        in_force.version,
        None if turn is None else turn.model,
    )
    return CachedAnswer(FORMS[api], request, allowed, key, request_log, service)


class CachedAnswer:
    """The cache for one request. Call `close` at its end, so that requests that wait for it go on."""

    def __init__(
        self,
        form: Form,
        request: ChatRequest,
        allowed: Directives,
        key: bytes,
        request_log: RequestLog,
        service: Service,
    ) -> None:
        self._form = form
        self._request = request
        self._allowed = allowed
        self._key = key
        self._request_log = request_log
        self._cache = service.cache
        self._flight: asyncio.Future[Entry | None] | None = None  # others wait for this request
        self._pieces: list[bytes] = []
        self._size = 0

    async def find(self) -> Entry | None:
        """Return a stored answer that the request may get. Waits for an equal request under way, but not for long."""
        cache, allowed = self._cache, self._allowed
        if allowed.reads:
            entry = cache.get(self._key)
            if entry is not None and allowed.allows(entry, cache.clock()):
                return entry
            flight = cache.flights.get(self._key)
            if flight is not None and not allowed.min_age_s:
                await asyncio.wait(
                    [flight], timeout=_longest_wait_s(self._request_log.in_force.portfolio, self._request)
                )
                entry = flight.result() if flight.done() else None
                if entry is not None and allowed.allows(entry, cache.clock()):
                    return entry
        if allowed.stores and self._key not in cache.flights:
            self._flight = cache.flights[self._key] = asyncio.get_running_loop().create_future()
        self._request_log.missed_cache()
        return None

    def age_s(self, entry: Entry) -> float:
        """Seconds since the answer was stored."""
        return self._cache.clock() - entry.stored_at

    def written(self, entry: Entry) -> tuple[bytes, bytes]:
        """Return the answer for this request: its body and, if the request asks for one, its stream."""
        values = {ID: orjson.dumps(self._form.new_id()), CREATED: b"%d" % time.time(), **self._form.echo(self._request)}
        templates, body = entry.templates, rendered(entry.templates.body, values)
        if not self._request.stream:
            return body, b""
        if templates.stream:
            stream, usage_event = rendered(templates.stream, values), rendered(templates.usage_event, values)
        else:
            stream, usage_event = self._form.events(orjson.loads(body))
        return body, b"".join((stream, usage_event if self._request.usage_requested else b"", templates.ending))

    def add(self, data: bytes) -> None:
        """Note the next bytes of the client's stream."""
        if not self._allowed.stores:
            return
        self._size += len(data)
        if self._size > self._cache.max_entry_bytes:
            self._give_up()
        else:
            self._pieces.append(data)

    async def keep_stream(self, ending: bytes, usage: ChatUsage | None) -> None:
        """Store the stream that has been noted, if it is one that others may get.

        Args:
            ending: the last bytes that the client got.
        """
        if self._form.whole_stream:
            self.add(ending)
        if self._size <= self._cache.max_entry_bytes:
            await self._keep(self._form.stored_stream, b"".join(self._pieces), usage)

    async def keep_body(self, body: bytes) -> None:
        """Store a complete answer, if it is one that others may get."""
        await self._keep(self._form.stored_body, body)

    def close(self) -> None:
        """The request is over: those that wait for its answer go on without it, if it was not stored."""
        self._settle(None)

    async def _keep(self, templates_of: Callable[..., Templates], answer: bytes, *more: object) -> None:
        origin = self._request_log.origin()
        if origin is None or not self._allowed.stores or len(answer) > self._cache.max_entry_bytes:
            return
        try:
            templates = await offloaded(len(answer), templates_of, answer, *more)
        except (NotStored, UpstreamFailure):
            return
        except Exception as exc:  # the client has its answer already, so a form that is not known only is not stored
            log_exception(log, "an answer cannot be stored in the cache", exc)
            return
        entry = Entry(templates, origin, self._cache.clock(), self._allowed.ttl_s)
        if self._cache.put(self._key, entry):
            self._settle(entry)

    def _give_up(self) -> None:
        self._pieces.clear()
        self._settle(None)

    def _settle(self, entry: Entry | None) -> None:
        if self._flight is not None:
            self._flight.set_result(entry)
            self._flight = None
            del self._cache.flights[self._key]


def _longest_wait_s(portfolio: Portfolio, request: ChatRequest) -> float:
    """Return how long a first token may take: of the model that the request names, or of the slowest one."""
    named = [model for model in portfolio.models if model.name == request.model]
    return max(one.first_token_timeout_s for model in named or portfolio.models for one in model.deployments)
