"""The name by which the model behind a deployment can be recognised."""

from urllib.parse import urlsplit

OPENAI_HOST = "api.openai.com"
CUSTOM = "custom/"  # before the names of models at servers that are not OpenAI's


def known_as(model: str, api_base: str | None) -> str:
    """LiteLLM's name of a deployment's model; `custom/…` if it is called at a server that is not OpenAI's.

    Such servers often call a model of their own `gpt-4o`.

    Args:
        model: LiteLLM's name, with or without `openai/`, which is also written for every OpenAI-compatible server.
        api_base: the address in the deployment, if it has one.
    """
    provider, slash, name = model.partition("/")
    if (provider == "openai" or not slash) and api_base and urlsplit(api_base).hostname != OPENAI_HOST:
        return CUSTOM + (name if slash else model)
    return model
