"""Imports litellm and changes the parts that do not suit a server. The only module that imports litellm.

The import takes seconds and hundreds of megabytes, so it runs in a thread, and only for a portfolio that needs it.
"""

import asyncio
import logging
import os
from types import ModuleType
from typing import Any

from gateway.api.chat.finish_reasons import finish_reason
from gateway.core.json_types import JsonObject
from gateway.upstream.litellm_failure import NOT_FETCHED

_SILENCED = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "httpx", "httpcore", "openai")


def import_litellm() -> ModuleType:
    """litellm, ready for use: it fetches no price map, logs nothing, and does not block the event loop."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise the import downloads the price map
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm

    # They log prompts, keys and addresses. The reason of a failure is in the record and in the gateway's own log.
    for name in _SILENCED:
        logging.getLogger(name).disabled = True
    _forbid_blocking_fetches(litellm)
    _check_stop_reasons()
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _forbid_blocking_fetches(litellm: ModuleType) -> None:
    """Makes litellm refuse to fetch an address in a message while the event loop waits.

    Some of its translations do so, which would delay every other request for as long as the other server takes. Its asynchronous
    fetches stay; they refuse private addresses.
    """
    from litellm.litellm_core_utils import token_counter
    from litellm.litellm_core_utils.prompt_templates import factory, image_handling

    module: Any
    for module in (factory, image_handling, token_counter):
        fetch = module.safe_get

        def outside_of_event_loop(client: object, url: str, fetch: Any = fetch, **options: object) -> object:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return fetch(client, url, **options)
            raise litellm.ImageFetchError(f"{NOT_FETCHED}: send the data itself.")

        module.safe_get = outside_of_event_loop


def _check_stop_reasons() -> None:
    """Makes litellm continue a stream of Anthropic after a `message_delta` without a stop reason.

    It reads every `message_delta` as the end, with `stop` for a reason that is null, empty or the text `null`: a stream that was
    cut after such an event would pass as complete.
    """
    from litellm.llms.anthropic.chat.handler import ModelResponseIterator

    iterator: Any = ModelResponseIterator
    handle = iterator._handle_message_delta

    def checked(self: object, event: JsonObject) -> tuple[object, ...]:
        reason, *rest = handle(self, event)
        reported = finish_reason((event.get("delta") or {}).get("stop_reason"))
        return ("" if reported is None else reason, *rest)

    iterator._handle_message_delta = checked
