"""A probe as a question to a model, and the reply as the answer that checkers take."""

from collections.abc import Sequence

from gateway.core.json_types import JsonObject
from gateway.deployments.live import LiveModel
from gateway.onboarding.probe_calls import Question
from router.probes.checkers.answer import Answer
from router.probes.json_types import as_json
from router.probes.probe import Probe

THINKING_TOKENS = 4_096  # beside the visible answer, for a model that reasons


def question_of(probe: Probe, model: LiveModel | None, *, thinks: bool = False) -> Question:
    """The question, with room for reasoning if the model reasons.

    Args:
        thinks: the model has shown that it does, whatever is known of it.
    """
    thinks = thinks or (model is not None and "reasoning" in model.spec.capabilities)
    tools: tuple[JsonObject, ...] = tuple(dict(tool) for tool in probe.tools)
    return Question(probe.query, probe.max_tokens + (THINKING_TOKENS if thinks else 0), tools)


def answer_of(text: str, tool_calls: Sequence[JsonObject], finish_reason: object) -> Answer:
    """What a provider sent, as checkers take it."""
    calls = [checked for call in tool_calls if isinstance(checked := as_json(call), dict)]
    return Answer(text, calls, finish_reason if isinstance(finish_reason, str) else None)
