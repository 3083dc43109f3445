"""The headers of a direct call, and the model's name as the provider knows it."""

from gateway import __version__
from gateway.config.portfolio import Deployment
from gateway.request.request import Native

ANTHROPIC = "anthropic/"  # litellm's prefix, which stays on the names of models that it translates for
ANTHROPIC_VERSION = "2023-06-01"
USER_AGENT = f"locus-gateway/{__version__}"


def provider_model_name(deployment: Deployment) -> str:
    """The model's name as the provider knows it: without litellm's prefix."""
    return deployment.upstream_model.removeprefix(ANTHROPIC)


def request_headers(deployment: Deployment, native: Native | None = None) -> dict[str, str]:
    """The headers of a call. Credentials are only the deployment's own.

    Args:
        native: the client's request, if it is sent in its own format; its forwarded headers are included.
    """
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    if native is not None:
        headers |= native.headers
    if deployment.upstream_model.startswith(ANTHROPIC) or (native is not None and native.api == "messages"):
        headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    if deployment.api_key is not None:
        key = deployment.api_key.reveal()
        if deployment.upstream_model.startswith(ANTHROPIC):
            headers["x-api-key"] = key
        else:
            headers["authorization"] = f"Bearer {key}"
    for name, value in deployment.headers.items():
        headers[name] = value.reveal()
    return headers
