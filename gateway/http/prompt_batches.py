"""A batch of prompts: each is answered as a request of its own, which is routed, failed over and limited like any other.

The batch holds one place of the gateway, and asks for a few of its answers at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.answering.open_call import OpenCall
from gateway.api.completions.batch import PromptWriter, request_of_prompt, total_usage
from gateway.api.completions.dialect import whole_fields
from gateway.bodies.json_cost import BYTES_PER_BYTE
from gateway.bodies.lenient_json import dumps
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.core.chat_types import ChatUsage
from gateway.core.errors import InvalidRequest
from gateway.http.accounting import RequestLog
from gateway.http.chat_answer import Answering
from gateway.http.exchange import told
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.request.requirements import MAX_BYTES_PER_CHAR

CONCURRENT = 4  # prompts that are answered at once
MAX_PROMPTS = 2048  # of a batch, as OpenAI's API has it
MAX_COMMON_BYTES = 1 << 28  # of what all prompts have in common, as often as it is sent

Headers = list[tuple[bytes, bytes]]
Write = Callable[[bytes, Headers], Awaitable[None]]


class Batch:
    """The prompts of one request.

    Args:
        request: with all of them.
        texts: of each prompt.
        identity: what every chunk of a stream begins with; the first chunk fills it.
        books: of the request; each prompt gets books within them.

    Attributes:
        answer_bytes: of the whole answers so far, as they came.

    Raises:
        InvalidRequest: there is more than can be asked of a gateway by one request.
    """

    def __init__(
        self,
        request: ChatRequest,
        texts: Sequence[str],
        identity: dict[str, Any],
        request_log: RequestLog,
        service: Service,
    ) -> None:
        assert request.native is not None
        fields = request.native.fields
        self.answer_bytes = 0
        self.n: int = fields.get("n") or 1
        self._common_bytes = len(dumps({key: value for key, value in fields.items() if key != "prompt"}))
        self._request = request
        self._texts = texts
        self._identity = identity
        self._request_log = request_log
        self._service = service
        self._check()

    async def whole(self) -> tuple[list[dict[str, Any]], Headers]:
        """Each prompt's answer, in their order, and the headers that tell how they came about.

        Raises:
            GatewayError: there is no answer to one of them.
        """
        answers: list[dict[str, Any]] = [{}] * len(self._texts)
        headers: list[Headers] = [[]] * len(self._texts)
        own_s = 0.0

        async def answer(number: int) -> None:
            nonlocal own_s
            async with self._answered(number) as (request_log, open_call):
                complete = open_call.complete
                assert complete is not None
                self.answer_bytes += len(complete.body)
                answers[number] = await offloaded(
                    len(complete.body), whole_fields, complete, open_call.candidate.model.name
                )
                headers[number] = request_log.answer(open_call)
                own_s += request_log.own_s

        await self._each(answer)
        return answers, self._request_log.answer_batch(headers, own_s)

    async def stream(self, write: Write, late: Callable[[], bool]) -> tuple[ChatUsage | None, str]:
        """Streams the answers of all prompts; those of several may alternate.

        Args:
            write: gets whole events, of one answer or another, and the headers that tell how the first of them came about.
            late: whether headers have been sent already that cannot tell it.

        Returns:
            the usage of all, None where that of one is not known; and the model that answered the first prompt.

        Raises:
            GatewayError: there is no answer to one of them, or it broke off.
        """
        usages: list[Any] = [None] * len(self._texts)
        models = [""] * len(self._texts)
        headers: Headers = []
        untold = False

        async def answer(number: int) -> None:
            nonlocal headers, untold
            async with self._answered(number) as (request_log, open_call):
                stream = request_log.stream
                assert stream is not None
                own = request_log.answer(open_call)
                if not self._request_log.answered:
                    headers, untold = self._request_log.answer_batch([own], request_log.own_s), late()
                if untold or open_call.candidate.stand_in:
                    stream.tell(told(own))
                while (data := await stream.read()) is not None:
                    await write(data, headers)
                usages[number], models[number] = stream.total_usage(), stream.model

        await self._each(answer)
        return total_usage(usages), models[0]

    @asynccontextmanager
    async def _answered(self, number: int) -> AsyncIterator[tuple[RequestLog, OpenCall]]:
        """The answer to one prompt, whole or as a stream, until the end of the block."""
        request_log, text = self._request_log.open_prompt(), self._texts[number]
        size = self._common_bytes + MAX_BYTES_PER_CHAR * len(text)
        charge(BYTES_PER_BYTE * size)
        try:
            request = await offloaded(size, request_of_prompt, self._request, number, text)
            writer = PromptWriter(number, self.n, self._identity)
            async with Answering(request, Conversation(), writer, request_log, self._service) as open_call:
                yield request_log, open_call
        finally:
            self._request_log.close_prompt(request_log)
            charge(-BYTES_PER_BYTE * size)

    def _check(self) -> None:
        prompts = len(self._texts)
        if prompts > MAX_PROMPTS:
            raise InvalidRequest(f"`prompt` may list at most {MAX_PROMPTS} prompts, not {prompts}.", param="prompt")
        if self._common_bytes * prompts > MAX_COMMON_BYTES:
            raise InvalidRequest(
                f"The fields besides `prompt` have {self._common_bytes} bytes, and {prompts} prompts would send them "
                f"{prompts} times; at most {MAX_COMMON_BYTES} bytes are sent so. List fewer prompts.",
                param="prompt",
            )

    async def _each(self, answer: Callable[[int], Awaitable[None]]) -> None:
        """Answers every prompt, some at once. The first that fails ends the others."""
        numbers = iter(range(len(self._texts)))

        async def work() -> None:
            for number in numbers:
                await answer(number)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(CONCURRENT, len(self._texts))):
                    group.create_task(work())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
