"""Defines the causes of failed upstream calls, and the request fields that can be dropped without changing the answer."""

from collections.abc import Mapping
from enum import Enum


class Cause(Enum):
    """The cause of a failed call. Logs, metrics and `/v1/route` show the value."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"  # 503, 529, or the model is still loading: temporary
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"  # the response is not valid in its API format
    LOCAL = "local"  # a fault of this machine, such as no free port; not the provider's fault
    AUTH = "auth"  # the provider refuses the API key
    NOT_FOUND = "not_found"  # the provider does not know the model
    QUOTA = "quota"  # the account's credit or quota is used up
    REFUSED = "refused"  # 401, 402, 403 or 404 for an unknown reason: it may apply to this request only
    CONTEXT_LENGTH = "context_length"  # the prompt is longer than the model's context window
    TOO_LARGE = "too_large"  # the request is larger than this deployment accepts; another one may accept it
    CONTENT_FILTER = "content_filter"
    FIELD_REFUSED = "field_refused"  # the deployment does not know an optional field of the request
    VALUE_REFUSED = "value_refused"  # the deployment knows the field but refuses its value
    UNSUPPORTED = "unsupported"  # this model cannot serve the request (a role, tools, a template rule); others may
    REJECTED = "rejected"  # the request is invalid for every model
    BUDGET = "budget"  # a limit of the request's key or team; the provider was not called
    AT_LIMIT = "at_limit"  # a limit that the deployment has in the portfolio; the provider was not called
    DIVERGED = "diverged"  # a repeated answer differs from what the client has received already


# Request fields that do not change the meaning of the answer, with their types.
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
# Two names of one field. Some newer OpenAI models accept only the second one; many other servers accept only the first one.
ALTERNATIVE_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
