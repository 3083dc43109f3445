"""The causes of failed calls, and the request fields that a provider may refuse without harm to the answer."""

from collections.abc import Mapping
from enum import Enum


class Cause(Enum):
    """Why a call failed. The value is the word in logs, metrics and `/v1/route`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"  # 503, 529, a model that is still being loaded: it passes by itself
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"
    LOCAL = "local"  # a fault of this machine, such as no free port: says nothing about the provider
    AUTH = "auth"  # the provider says that the key is refused
    NOT_FOUND = "not_found"  # the provider says that the model is unknown
    QUOTA = "quota"  # the provider says that the account's money or quota is used up
    REFUSED = "refused"  # 401, 402, 403 or 404 without these words: perhaps only this request is refused
    CONTEXT_LENGTH = "context_length"  # the prompt is longer than the model's window
    TOO_LARGE = "too_large"  # the request is larger than this deployment takes; another one may take it
    CONTENT_FILTER = "content_filter"
    FIELD_REFUSED = "field_refused"  # the deployment does not know the optional field `field`
    VALUE_REFUSED = "value_refused"  # it knows `field`, but refuses the value in this request
    UNSUPPORTED = "unsupported"  # this model cannot take the request (a role, tools, a template rule): others may
    REJECTED = "rejected"
    DIVERGED = "diverged"  # a fresh answer that does not say what the client has already


# Fields of a request without which the answer is still the one that was asked for, with the type that each has.
OPTIONAL_FIELDS: Mapping[str, type] = {
    "stream_options": dict,
    "parallel_tool_calls": bool,
    "reasoning_effort": str,
    "prompt_cache_key": str,
    "prompt_cache_retention": str,
    "safety_identifier": str,
    "service_tier": str,
    "verbosity": str,
    "metadata": dict,
    "store": bool,
    "seed": int,
    "user": str,
}
# Two names of one field: of the newer OpenAI models some know the second alone, of other servers many only the first.
ALTERNATIVE_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
