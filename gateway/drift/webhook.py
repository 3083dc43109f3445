"""Sends an event to a webhook, outside the request path."""

import logging
from collections.abc import Mapping

import aiohttp
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential

log = logging.getLogger("locus.drift")

TRIES = 3
TIMEOUT_S = 10.0


async def send(url: str, event: Mapping[str, object]) -> None:
    """Posts an event as JSON, three times if need be.

    A webhook that does not take it is named in the log without its address, which may hold a secret.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    retrying = AsyncRetrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=0.5),
        retry=retry_if_exception_type((aiohttp.ClientError, TimeoutError)),
    )
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            async for attempt in retrying:
                with attempt:
                    async with session.post(url, json=event, allow_redirects=False) as response:
                        response.raise_for_status()
    except RetryError as failed:
        cause = failed.last_attempt.exception()
        why = f"status {cause.status}" if isinstance(cause, aiohttp.ClientResponseError) else type(cause).__name__
        log.warning("the webhook of `drift` did not take an event after %d tries: %s", TRIES, why)
    except ValueError:  # of aiohttp: not a URL that can be called
        log.warning("the webhook of `drift` has an address that cannot be called")
