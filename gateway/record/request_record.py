"""What is recorded of one request, and of each call that was billed for it."""

from collections.abc import Iterable
from typing import NamedTuple


class Part(NamedTuple):
    """A call that produced the client's answer, or a part of it: one billed call.

    Attributes:
        prompt_tokens: all input, tokens that were read from and written to a cache included.
        completion_tokens: all output, reasoning included.
        cost_nusd: nano-USD; None if the price is unknown.
        estimated: the provider reported no usage, so that the tokens are estimated from the text.
        service_tier: that was billed, if not the usual one.
        web_searches: that the provider made for the answer.
    """

    model: str
    deployment: str
    prompt_tokens: int
    completion_tokens: int
    cost_nusd: int | None
    estimated: bool
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_audio_tokens: int = 0
    completion_audio_tokens: int = 0
    service_tier: str | None = None
    web_searches: int = 0

    @property
    def cache_write_tokens(self) -> int:
        """The tokens that were written to the provider's cache."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    def plus(self, other: "Part") -> "Part":
        """Return this part and another part of the same deployment as one."""
        return Part(
            self.model,
            self.deployment,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            total_cost((self, other)),
            self.estimated or other.estimated,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_5m_tokens + other.cache_write_5m_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.prompt_audio_tokens + other.prompt_audio_tokens,
            self.completion_audio_tokens + other.completion_audio_tokens,
            self.service_tier if self.service_tier == other.service_tier else None,
            self.web_searches + other.web_searches,
        )


def total_cost(parts: Iterable[Part]) -> int | None:
    """Return the cost of all parts, nano-USD; None if there is none, or the price of one is unknown."""
    costs = [part.cost_nusd for part in parts]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


class Record(NamedTuple):
    """The record of one request. Times are in milliseconds, money in nano-USD; JSON columns hold text.

    Attributes:
        request_id: the client's own id if it sent one, so that it is not always unique.
        time: seconds since the epoch, at arrival.
        requested: the `model` of the request.
        chosen, served: portfolio models; they differ if a stand-in answered.
        candidates: `[{"model", "p_correct", "price_usd"}]` of the 20 best models by the policy; None if the client named a model.
        failover: `[{"model", "deployment", "cause", "status", "began_ms", "elapsed_ms", "rule", "distance", "predicted_loss", …}]`,
            the failed calls in order, including streams that broke; `began_ms` counts from the arrival, and is null for a
            deployment that was waited for; distance and loss are relative to the chosen model.
        parts: if another call continued a stream, or was given up while it ran, the `Part` of each call, those of the answer
            first; tokens and cost are their sums. For a
            batch of prompts that several deployments answered, a `Part` for each deployment; chosen, served, deployment,
            p_correct, candidates and the columns about a stand-in are those of the first prompt.
        usage_estimated: a provider reported no usage, for example because its stream broke.
        cost_nusd: the sum over the billed calls; None if there is none, or the price of one is unknown.
        error: the code of the error that the client received; `client_disconnected` if the client disconnected.
        prompt: the messages as JSON; only if the portfolio file enables this.
        api: the format of the request: "chat", "messages", "responses", "completions" or "embeddings".
        conversation: "kept" or "switched" if the conversation had a model already.
        simulated: the gateway was in demo mode, so that the answer is simulated.
        key_id, key_name, team: the gateway key of the client and its team.
        end_user, safety_identifier, metadata: those of the request; metadata is a JSON object.
        tags: a JSON list: those of the key.
        cached_tokens, cache_write_tokens: parts of prompt_tokens.
        reasoning_tokens: a part of completion_tokens.
        propensity: the probability with which the policy chose this model; None if the client named it.
        checkpoint: the one whose predictions the decision used.
        trace_id: of the W3C trace context, 32 hexadecimal digits.
        cache: what the exact cache did.
        saved_nusd: what the answer from the exact cache had cost; None without one, or if that is not known.
        near_limit: the factor of the policy's cost weight, since a budget was nearly spent; None if none was.
        ensemble: how several models found the answer, as in its `locus.ensemble`; None if one model was asked. `chosen` and
            `served` are the model that wrote it.
        call_began_ms: from the arrival to the beginning of the call that the answer, or its first part, is from; None if no call
            was answered.
        stand_in_rule: why this stand-in was asked before the others: "fallbacks", "nearest" or "best"; None if none answered.
    """

    request_id: str
    time: float
    requested: str | None
    policy: str | None
    chosen: str | None
    served: str | None
    deployment: str | None
    p_correct: float | None
    stand_in_distance: float | None
    predicted_loss: float | None
    candidates: str | None
    failover: str | None
    parts: str | None
    stream: bool
    status: int
    error: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    usage_estimated: bool
    cost_nusd: int | None
    latency_ms: float
    first_token_ms: float | None
    overhead_ms: float | None
    prompt: str | None
    api: str = "chat"
    conversation: str | None = None
    simulated: bool = False
    key_id: str | None = None
    key_name: str | None = None
    team: str | None = None
    end_user: str | None = None
    safety_identifier: str | None = None
    metadata: str | None = None
    tags: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    propensity: float | None = None
    checkpoint: str | None = None
    trace_id: str | None = None
    cache: str | None = None
    stand_in_rule: str | None = None
    saved_nusd: int | None = None
    near_limit: float | None = None
    ensemble: str | None = None
    call_began_ms: float | None = None
