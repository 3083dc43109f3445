"""A batch of prompts: each prompt becomes a request of its own, with its own decision, failover and upstream limits.

For admission the whole batch is one request. A few of its prompts are answered at the same time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.answering.open_call import OpenCall
from gateway.api.completions.answer_from_chat import completion_fields
from gateway.api.completions.batch import PromptWriter, request_for_prompt, total_usage
from gateway.api.completions.text_completion import CompletionEnvelope
from gateway.bodies.json_cost import BYTES_PER_BYTE
from gateway.bodies.lenient_json import dumps
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.core.chat_types import ChatUsage
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.http.accounting import RequestLog
from gateway.http.answer_headers import RawHeaders
from gateway.http.chat_answer import ChatAnswer
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.request.requirements import MAX_BYTES_PER_CHAR

CONCURRENT = 4  # prompts that are answered at the same time
MAX_PROMPTS = 2048  # of a batch, as in OpenAI's API
MAX_COMMON_BYTES = 1 << 28  # of the fields besides `prompt`, times the number of prompts, since each call sends them

Write = Callable[[bytes, RawHeaders], Awaitable[None]]


class Batch:
    """Answers the prompts of one request.

    Args:
        request: the client's request, with all prompts.
        texts: the text of each prompt.
        identity: the fields that all chunks of the stream share, such as `id`; the first chunk fills it.
        request_log: of the request; each prompt gets a log of its own within it.

    Attributes:
        n: completions for each prompt.
        answer_bytes: size of the complete answers so far, as received.

    Raises:
        InvalidRequest: the batch is too large for one request.
    """

    def __init__(
        self,
        request: ChatRequest,
        texts: Sequence[str],
        identity: CompletionEnvelope,
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

    async def complete(self) -> tuple[list[JsonObject], RawHeaders]:
        """The answers in the order of the prompts, and the headers that describe how they were made.

        Raises:
            GatewayError: one of the prompts got no answer.
        """
        answers: list[JsonObject] = [{}] * len(self._texts)
        headers: list[RawHeaders] = [[]] * len(self._texts)
        overhead_s = 0.0

        async def answer(number: int) -> None:
            nonlocal overhead_s
            async with self._answer_to(number) as (prompt_log, open_call):
                complete = prompt_log.complete
                assert complete is not None
                self.answer_bytes += len(complete.body)
                answers[number] = await offloaded(
                    len(complete.body), completion_fields, complete, open_call.candidate.model.name
                )
                headers[number] = prompt_log.start_answer(open_call)
                overhead_s += prompt_log.overhead_s or 0.0

        await self._for_each_prompt(answer)
        return answers, self._request_log.start_batch_answer(headers, overhead_s)

    async def stream(self, write: Write, headers_sent: Callable[[], bool]) -> tuple[ChatUsage | None, str]:
        """Streams the answers to all prompts; events of several answers may alternate.

        Args:
            write: sends complete events, with the headers of the answer that began first.
            headers_sent: returns True if the response headers have been sent already, without those of an answer.

        Returns:
            the usage of all answers, None if that of one is not known; and the model that answered the first prompt.

        Raises:
            GatewayError: one of the prompts got no answer, or its stream broke.
        """
        usages: list[ChatUsage | None] = [None] * len(self._texts)
        models = [""] * len(self._texts)
        headers: RawHeaders = []
        describe_in_stream = False

        async def answer(number: int) -> None:
            nonlocal headers, describe_in_stream
            async with self._answer_to(number) as (prompt_log, open_call):
                stream = prompt_log.stream
                assert stream is not None
                own = prompt_log.start_answer(open_call)
                if not self._request_log.answer_started:
                    headers, describe_in_stream = (
                        self._request_log.start_batch_answer([own], prompt_log.overhead_s or 0.0),
                        headers_sent(),
                    )
                if (fields := prompt_log.locus_fields(own, always=describe_in_stream)) is not None:
                    stream.add_locus_fields(fields)
                while (data := await stream.read()) is not None:
                    await write(data, headers)
                usages[number], models[number] = stream.total_usage(), stream.model

        await self._for_each_prompt(answer)
        return total_usage(usages), models[0]

    @asynccontextmanager
    async def _answer_to(self, number: int) -> AsyncIterator[tuple[RequestLog, OpenCall]]:
        """The answer to one prompt, complete or as a stream; the end of the block closes it."""
        prompt_log, text = self._request_log.start_prompt(), self._texts[number]
        size = self._common_bytes + MAX_BYTES_PER_CHAR * len(text)
        charge(BYTES_PER_BYTE * size)
        try:
            request = await offloaded(size, request_for_prompt, self._request, number, text)
            writer = PromptWriter(number, self.n, self._identity)
            async with ChatAnswer(request, Conversation(), writer, prompt_log, self._service) as open_call:
                yield prompt_log, open_call
        finally:
            self._request_log.end_prompt(prompt_log)
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

    async def _for_each_prompt(self, answer: Callable[[int], Awaitable[None]]) -> None:
        """Answers all prompts, `CONCURRENT` at the same time. The first failure cancels the others."""
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
