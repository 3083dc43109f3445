"""The arguments of litellm's calls: those that the client's request sets, and those of the deployment."""

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.core.json_types import JsonObject
from gateway.request.request import Request

# Fields of the OpenAI chat API that are arguments of litellm. Any other field of a client is sent as `extra_body`, which litellm
# adds to the requests of those providers that accept it: as an argument it could redirect the call (`api_base`,
# `aws_bedrock_runtime_endpoint`) or change the gateway's own settings.
_ARGUMENTS = frozenset(
    """messages temperature top_p n stop max_tokens max_completion_tokens modalities prediction audio presence_penalty
    frequency_penalty logit_bias user response_format seed tools tool_choice parallel_tool_calls functions
    function_call logprobs top_logprobs reasoning_effort verbosity thinking service_tier""".split()  # noqa: SIM905
)
_SET_BY_GATEWAY = frozenset({"model", "stream", "stream_options"})


def chat_arguments(deployment: Deployment, request: Request, dropped: frozenset[str]) -> JsonObject:
    """The arguments of `litellm.acompletion` for a complete answer.

    Args:
        dropped: names of optional request fields that are not sent, since this deployment has refused them.
    """
    fields = request.fields_without(dropped)
    arguments: JsonObject = {key: fields[key] for key in fields.keys() & _ARGUMENTS if fields[key] is not None}
    extra = {key: value for key, value in fields.items() if key not in _ARGUMENTS and key not in _SET_BY_GATEWAY}
    if extra:
        arguments["extra_body"] = extra
    return arguments | deployment_arguments(deployment)


def deployment_arguments(deployment: Deployment) -> JsonObject:
    """The arguments of every call to a deployment: its parameters, address and credentials, and the gateway's own settings."""
    arguments: JsonObject = {
        key: value.reveal() if isinstance(value, Secret) else value for key, value in deployment.params.items()
    }
    if deployment.headers:
        arguments["extra_headers"] = {name: value.reveal() for name, value in deployment.headers.items()}
    if deployment.api_base is not None:
        arguments["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        arguments["api_key"] = deployment.api_key.reveal()
    return arguments | {
        "model": deployment.upstream_model,
        "timeout": deployment.timeout_s,
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": True,  # litellm omits a parameter that the provider does not support
    }
