from collections.abc import Sequence

import numpy as np
import pytest

from gateway.config.portfolio import Deployment
from gateway.request.embeddings_request import parse_embeddings
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.embeddings_response import Vectors
from gateway.upstream.embeddings_upstream import EmbeddingsUpstream
from gateway.upstream.litellm_upstream import LitellmUpstream
from gateway.upstream.upstreams import Upstreams

pytestmark = pytest.mark.anyio
DIRECT = Deployment(id="m/0", model="m", upstream_model="up", path="direct")
LITELLM = Deployment(id="m/1", model="m", upstream_model="cohere/up", path="litellm")
BUILT_IN = Deployment(id="e/0", model="e", upstream_model="e", path="built_in")


async def embed(texts: Sequence[str]) -> Vectors:
    return np.array([[len(text), 0.0] for text in texts], np.float32)


async def test_the_upstream_depends_on_the_deployment_and_the_api() -> None:
    direct, litellm = DirectUpstream(), LitellmUpstream()
    upstreams = Upstreams(direct, litellm, embed)
    assert await upstreams.choose(DIRECT, "chat") is direct
    assert await upstreams.choose(LITELLM, "messages") is direct  # it speaks the client's own format
    assert await upstreams.choose(LITELLM, "chat") is litellm
    for deployment in (DIRECT, LITELLM, BUILT_IN):
        assert isinstance(await upstreams.choose(deployment, "embeddings"), EmbeddingsUpstream)


async def test_the_built_in_model_needs_no_call() -> None:
    upstream = await Upstreams(DirectUpstream(), LitellmUpstream(), embed).choose(BUILT_IN, "embeddings")
    request = parse_embeddings(b'{"model": "e", "input": ["a", "bcd"]}')
    complete = await upstream.complete(BUILT_IN, request)
    assert complete.body.startswith(b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,0.0]}')
    assert complete.usage is not None
    assert complete.usage.prompt_tokens == 2
    with pytest.raises(NotImplementedError):
        await upstream.stream(BUILT_IN, request, 0.0)
