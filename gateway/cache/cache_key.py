"""The key of a request in the cache, and the version of the portfolio that is part of it. Pure functions.

Two requests have the same key only if they come from the same owner, and everything that decides about the answer is equal.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b

import orjson

from gateway.config.portfolio import Model, Portfolio
from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest
from router.model.serving import Router

# Fields that do not change the answer: the form of the stream, labels, and how the request is billed or stored. The conversation
# before `previous_response_id` is among the input items.
UNKEYED = frozenset(
    {
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "prompt_cache_key",
        "service_tier",
        "previous_response_id",
    }
)
_SORTED = orjson.OPT_SORT_KEYS


def portfolio_version(portfolio: Portfolio, router: Router, states: Mapping[str, str]) -> bytes:
    """Return a digest of what decides which model answers `auto`, and how a model is called. Keys and limits do not.

    Args:
        portfolio: in force, so that its models have the names of their embeddings.
        router: its checkpoint and the embeddings of the models count.
        states: of the models, by name.
    """
    digest = blake2b(digest_size=16)
    models = [*portfolio.models, *portfolio.embedding_models]
    policies = {
        "default": portfolio.default_policy,
        "policies": dict(portfolio.policies),
        "ensembles": dict(portfolio.ensembles),
    }
    digest.update(orjson.dumps([[_model(model) for model in models], policies], default=_plain, option=_SORTED))
    digest.update(orjson.dumps(dict(states), option=_SORTED))
    digest.update(router.space.checkpoint.encode())
    names = {name for model in models for name in _embeddings(model) if name}
    if names:
        embeddings = router.space.embeddings.take(router.space.rows(sorted(names)))
        for array in embeddings.arrays().values():
            digest.update(array.tobytes())
    return digest.digest()


def cache_key(request: ChatRequest, api: str, owner: str, version: bytes, kept_model: str | None) -> bytes:
    """Return the key of a request.

    Args:
        api: the format of the answer.
        owner: who may get the answer.
        version: of the portfolio.
        kept_model: the model that the conversation stays with, if it can.
    """
    native, overrides = request.native, request.overrides
    fields = request.fields if native is None else native.fields
    controls = (
        api,
        owner,
        version.hex(),
        overrides.policy,
        overrides.rule,
        overrides.min_p_correct,
        None if overrides.allow is None else sorted(overrides.allow),
        sorted(overrides.exclude),
        overrides.stand_ins,
        overrides.ensemble,
        None if overrides.allowed.models is None else sorted(overrides.allowed.models),
        overrides.allowed.policies,
        kept_model,
        None if native is None else native.headers,
    )
    kept = {key: value for key, value in fields.items() if key not in UNKEYED}
    return blake2b(orjson.dumps((controls, kept), option=_SORTED), digest_size=32, person=b"locus cache").digest()


def _model(model: Model) -> JsonObject:
    return {
        "name": model.name,
        "embeddings": [model.embedding, dict(model.embedding_by_setting), model.embedding_of_deployments],
        "price": model.price,
        "can": [model.context_window, model.max_output_tokens, sorted(model.capabilities)],
        "deployments": [
            [one.id, one.path, one.upstream_model, one.api_base, one.native_base, sorted(one.apis), dict(one.params)]
            for one in model.deployments
        ],
    }


def _embeddings(model: Model) -> Iterator[str | None]:
    yield model.embedding
    yield from model.embedding_by_setting.values()
    yield from (name for name, _ in model.embedding_of_deployments)


def _plain(value: object) -> str:
    """Secrets among the parameters of a deployment, which are written as `***`, and other values."""
    return str(value)
