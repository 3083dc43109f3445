"""A legacy completions request with several prompts: one request for each prompt, and one answer made of theirs.

Choice `c` of prompt `p` has the index `p * n + c`, where `n` is the number of choices for each prompt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.api.completions.prompts import prompts_of
from gateway.api.completions.request_to_chat import to_chat_request
from gateway.api.completions.stream_writer import CompletionsWriter
from gateway.api.completions.text_completion import API, CompletionEnvelope, completion_envelope
from gateway.bodies.lenient_json import dumps
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.request.chat_request import ChatRequest


def request_for_prompt(request: ChatRequest, number: int, text: str) -> ChatRequest:
    """Return the request that has only one of the prompts.

    Args:
        number: of the prompt, from 0.
        text: of that prompt.
    """
    native = request.native
    assert native is not None
    fields = native.fields | {"prompt": prompts_of(native.fields)[number]}
    single = to_chat_request(dumps(fields), fields, [text])
    return replace(single, overrides=request.overrides, is_utility_call=request.is_utility_call)


def merged_answer(answers: Sequence[JsonObject], n: int) -> JsonObject:
    """Return one complete answer with the choices of all.

    Args:
        answers: one for each prompt, in the format of this API.
        n: number of choices for each prompt.
    """
    choices = []
    for number, answer in enumerate(answers):
        own = sorted(answer["choices"], key=_index)[:n]
        choices += [choice | {"index": number * n + position} for position, choice in enumerate(own)]
    first = answers[0]
    merged: JsonObject = {**completion_envelope(first, first["model"], keep_id=True), "choices": choices}
    if (usage := total_usage(answer.get("usage") for answer in answers)) is not None:
        merged["usage"] = usage
    return merged


def total_usage(usages: Iterable[object]) -> ChatUsage | None:
    """Return the usage of all answers together; None if that of one answer is missing or not counted."""
    total = Usage()
    for value in usages:
        if (usage := Usage.read(value)) is None or not usage.total_tokens:
            return None
        total = total.plus(usage)
    return total.in_chat()


class PromptWriter(CompletionsWriter):
    """Writes the answer to one prompt into the stream of all. The end of that stream is written by another writer.

    Args:
        number: of the prompt, from 0.
        n: number of choices for each prompt.
        identity: see `CompletionsWriter`.
    """

    def __init__(self, number: int, n: int, identity: CompletionEnvelope) -> None:
        super().__init__(usage_requested=False, identity=identity)
        self._first_index = number * n
        self._n = n

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        choices = [
            choice | {"index": self._first_index + index}
            for choice in fields["choices"]
            if (index := choice.get("index") or 0) < self._n
        ]
        if not choices:
            return b""
        return super().write(Chunk(b"", fields, API), fields | {"choices": choices}, model)


def _index(choice: JsonObject) -> int:
    return choice.get("index") or 0
