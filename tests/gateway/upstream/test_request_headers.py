from dataclasses import replace

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.request.request import Native
from gateway.upstream.request_headers import USER_AGENT, provider_model_name, request_headers

DEPLOYMENT = Deployment(id="m/0", model="m", upstream_model="up", path="direct", api_key=Secret("sk-key"))
OWN = {"content-type": "application/json", "user-agent": USER_AGENT}


def test_a_call_has_the_deployments_key() -> None:
    assert request_headers(DEPLOYMENT) == OWN | {"authorization": "Bearer sk-key"}
    assert request_headers(replace(DEPLOYMENT, api_key=None)) == OWN


def test_anthropic_gets_its_key_in_a_header_of_its_own_and_a_version() -> None:
    claude = replace(DEPLOYMENT, upstream_model="anthropic/claude")
    assert request_headers(claude) == OWN | {"x-api-key": "sk-key", "anthropic-version": "2023-06-01"}
    assert provider_model_name(claude) == "claude"
    assert provider_model_name(DEPLOYMENT) == "up"


def test_a_request_in_the_messages_format_has_a_version_and_the_clients_headers() -> None:
    native = Native("messages", b"{}", {}, {"anthropic-beta": "b1"})
    expected = OWN | {"anthropic-beta": "b1", "anthropic-version": "2023-06-01", "authorization": "Bearer sk-key"}
    assert request_headers(DEPLOYMENT, native) == expected
    native = Native("messages", b"{}", {}, {"anthropic-version": "2024-01-01"})
    assert request_headers(DEPLOYMENT, native)["anthropic-version"] == "2024-01-01"
    assert "anthropic-version" not in request_headers(DEPLOYMENT, Native("responses", b"{}", {}))


def test_the_deployments_headers_take_precedence() -> None:
    deployment = replace(DEPLOYMENT, headers={"authorization": Secret("Own key"), "anthropic-beta": Secret("own")})
    native = Native("messages", b"{}", {}, {"anthropic-beta": "b1"})
    headers = request_headers(deployment, native)
    assert (headers["authorization"], headers["anthropic-beta"]) == ("Own key", "own")
