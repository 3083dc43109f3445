"""A legacy completions request with several prompts: a request for each, and their answers as one.

Choice `c` of prompt `p` has the index `p * n + c`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.api.completions.dialect import API, CompletionsWriter, head, request_of
from gateway.api.completions.prompts import prompts_of
from gateway.bodies.lenient_json import dumps
from gateway.core.answer import Chunk, Usage
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.request.chat_request import ChatRequest


def request_of_prompt(request: ChatRequest, number: int, text: str) -> ChatRequest:
    """The request that has only one of the prompts.

    Args:
        number: of the prompt, from 0.
        text: of that prompt.
    """
    native = request.native
    assert native is not None
    fields = native.fields | {"prompt": prompts_of(native.fields)[number]}
    one = request_of(dumps(fields), fields, [text])
    return replace(one, overrides=request.overrides, is_utility_call=request.is_utility_call)


def merged(answers: Sequence[dict[str, Any]], n: int) -> dict[str, Any]:
    """One whole answer.

    Args:
        answers: to each prompt, in this format.
        n: how many choices each prompt was to get.
    """
    choices = []
    for number, answer in enumerate(answers):
        given = sorted(answer["choices"], key=_index)[:n]
        choices += [choice | {"index": number * n + at} for at, choice in enumerate(given)]
    first = answers[0]
    body = head(first, first["model"], native=True) | {"choices": choices}
    usage = total_usage(answer.get("usage") for answer in answers)
    return body if usage is None else body | {"usage": usage}


def total_usage(usages: Iterable[Any]) -> ChatUsage | None:
    """The usage of all answers; None where that of one is not known."""
    total = Usage()
    for value in usages:
        if (usage := Usage.read(value)) is None:
            return None
        total = total.plus(usage)
    return {
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.prompt_tokens + total.completion_tokens,
    }


class PromptWriter(CompletionsWriter):
    """Writes the answer to one prompt into the stream of all. What ends that stream is not its to write.

    Args:
        number: of the prompt, from 0.
        n: how many choices it is to get.
        identity: as a `CompletionsWriter`'s.
    """

    def __init__(self, number: int, n: int, identity: dict[str, Any]) -> None:
        super().__init__(usage_requested=False, identity=identity)
        self._first = number * n
        self._n = n

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        choices = [
            choice | {"index": self._first + index}
            for choice in fields["choices"]
            if (index := choice.get("index") or 0) < self._n
        ]
        if not choices:
            return b""
        return super().write(Chunk(b"", fields, API), fields | {"choices": choices}, model)


def _index(choice: dict[str, Any]) -> int:
    return choice.get("index") or 0
