"""A simulated provider that answers the probes of a bank, right or wrong by its skill in each kind of question."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from router.probes.checker_spec import CheckerSpec
from router.probes.generators.bank import questions
from router.probes.probe import Probe
from tests.gateway.upstreams import Call, ScriptedProvider, error, reply

WRONG = "I am quite sure that it is 987654321."
USAGE = {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50}
QUESTIONS = {
    "mathematics": "Compute the exact value of the sum {a} + {b}. Reply with the number only.",
    "shop": "A shop sells {a} apples and {b} pears in a day. How many fruits are that? Reply with the number only.",
    "code": "What does this Python program print?\n\nx = [{a}, {b}]\nprint(sum(x))\n\nReply with the number only.",
}


class SkilledProvider(ScriptedProvider):
    """Answers probes over HTTP.

    Args:
        skills: model name as it is asked -> kind of question -> share that it answers right; "" for all other kinds.
        delay_s: of each answer.
        texts: a right and a wrong answer by the id of the probe; without, the reference and a number that is never right.

    Attributes:
        usage: that each answer reports.
        silent: questions that it refuses to answer.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        skills: Mapping[str, Mapping[str, float]],
        delay_s: float = 0.0,
        texts: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(self._answer)
        self.delay_s = delay_s
        self.usage = USAGE
        self.silent: set[str] = set()
        self._probes = {probe.query: probe for probe in probes}
        self._skills = skills
        self._texts = texts or {}

    def asked(self) -> list[str]:
        """The questions so far, in order."""
        return [call.body["messages"][-1]["content"] for call in self.calls]

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.delay_s)
        probe, model = self._probes[call.body["messages"][-1]["content"]], call.body["model"]
        if probe.query in self.silent:
            await error(400, "no comment", "content_filter")(call, writer)
            return
        right, wrong = self._texts.get(probe.id, (str(probe.reference), WRONG))
        message = message_of(probe, right if chance(model, probe.id) < skill(self._skills[model], probe) else wrong)
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        await reply(200, body | {"usage": self.usage})(call, writer)


def skill(skills: Mapping[str, float], probe: Probe) -> float:
    """The share of right answers to a kind of question."""
    return skills.get(probe.kind.partition(":")[0], skills.get("", 0.0))


def chance(model: str, probe: str) -> float:
    """A number from 0 to 1 that is the same whenever a model is asked a probe."""
    return int.from_bytes(blake2b(f"{model}/{probe}".encode(), digest_size=6).digest()) / 2**48


def message_of(probe: Probe, text: str) -> dict[str, Any]:
    """A message with a text; for a probe with tools, with the calls that the text lists."""
    if not probe.tools:
        return {"role": "assistant", "content": text}
    calls = [
        {"id": "c", "type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
        for call in json.loads(text)
    ]
    return {"role": "assistant", "content": None if calls else "Here you are.", "tool_calls": calls or None}


def shipped_texts() -> dict[str, tuple[str, str]]:
    """A right and a wrong answer to each probe of the shipped bank."""
    return {identifier: (draft.right, draft.wrong[0]) for _, identifier, draft in questions()}


def numbers_bank(kinds: Mapping[str, int]) -> list[Probe]:
    """A bank of sums: so many of each kind. Kinds differ in their words, so that they are different kinds of text."""
    return [
        Probe(
            f"{kind}-{i}", QUESTIONS[kind].format(a=17 * i + 3, b=29 * i + 5), kind, CheckerSpec("number"), 46 * i + 8
        )
        for kind, count in kinds.items()
        for i in range(count)
    ]
