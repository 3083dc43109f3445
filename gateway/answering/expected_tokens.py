"""How many tokens a call may take, before it is made. Pure."""

from typing import NamedTuple

from gateway.answering.call_request import CallRequest
from gateway.config.portfolio import Model
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.limits.output_lengths import OutputLengths

PROMPT_MARGIN = 2  # an estimate of the prompt's tokens may be too low by this factor: texts differ by language


class ExpectedTokens(NamedTuple):
    """Tokens of one call.

    Attributes:
        prompt: about.
        longest_prompt: at most.
        most: of all its answers, at most.
        usual: of its answers; None while too few answers of the model are known.
    """

    prompt: int
    longest_prompt: int
    most: int
    usual: int | None

    @property
    def likely(self) -> int:
        """Of the prompt and its answers."""
        usual = EXPECTED_OUTPUT_TOKENS if self.usual is None else self.usual
        return self.prompt + min(self.most, usual)


def expected_tokens(model: Model, call_request: CallRequest, lengths: OutputLengths) -> ExpectedTokens:
    """The tokens of a call of a model.

    Args:
        lengths: of recent answers.
    """
    requirements = call_request.request.requirements
    prompt = requirements.prompt_tokens
    if call_request.transcript is not None:
        prompt += call_request.transcript.contents
    longest = prompt if requirements.prompt_tokens_exact else PROMPT_MARGIN * prompt
    most = 0
    if call_request.request.api != "embeddings":
        largest = model.max_output_tokens or max(1, model.context_window - prompt)
        most = min(requirements.output_tokens or largest, largest) * (call_request.request.fields.get("n") or 1)
    return ExpectedTokens(prompt, longest, most, lengths.expected(model.name))
