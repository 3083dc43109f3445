from typing import Any

import orjson

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.request.chat_request import parse_chat
from gateway.upstream.litellm_arguments import chat_arguments, deployment_arguments

DEPLOYMENT = Deployment(
    id="m/0",
    model="m",
    upstream_model="anthropic/claude",
    path="litellm",
    api_base="https://provider.example",
    api_key=Secret("sk-key"),
    headers={"x-own": Secret("value")},
    params={"aws_region_name": "eu", "aws_secret_access_key": Secret("aws")},
    timeout_s=30.0,
)
OWN = {
    "aws_region_name": "eu",
    "aws_secret_access_key": "aws",
    "extra_headers": {"x-own": "value"},
    "api_base": "https://provider.example",
    "api_key": "sk-key",
    "model": "anthropic/claude",
    "timeout": 30.0,
    "num_retries": 0,
    "max_retries": 0,
    "drop_params": True,
}
MESSAGES = [{"role": "user", "content": "Hi"}]


def arguments(dropped: frozenset[str] = frozenset(), **fields: Any) -> dict[str, Any]:
    body = {"model": "auto", "messages": MESSAGES} | fields
    return chat_arguments(DEPLOYMENT, parse_chat(orjson.dumps(body)), dropped)


def test_each_call_gets_the_deployments_parameters_and_the_gateways_settings() -> None:
    assert deployment_arguments(DEPLOYMENT) == OWN
    bare = deployment_arguments(Deployment(id="m/0", model="m", upstream_model="up", path="litellm"))
    assert not bare.keys() & {"api_base", "api_key", "extra_headers"}


def test_fields_of_the_chat_api_are_arguments_and_others_go_into_the_body() -> None:
    got = arguments(temperature=0.5, stop=None, stream=True, stream_options={"include_usage": True}, top_k=3)
    assert got == OWN | {"messages": MESSAGES, "temperature": 0.5, "extra_body": {"top_k": 3}}


def test_a_client_cannot_set_the_arguments_of_the_deployment() -> None:
    given: dict[str, Any] = {"api_base": "http://thief.example", "api_key": "x", "timeout": 1, "aws_region_name": "us"}
    assert arguments(**given) == OWN | {"messages": MESSAGES, "extra_body": given}


def test_a_field_that_the_deployment_has_refused_is_not_sent() -> None:
    assert "seed" in arguments(seed=1)
    assert "seed" not in arguments(frozenset({"seed"}), seed=1)
