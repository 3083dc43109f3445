"""Token counts that the gateway estimates itself."""

import orjson

from gateway.http.token_counts import estimate
from gateway.request.requirements import Requirements


def test_an_estimate_is_marked_as_one() -> None:
    response = estimate(Requirements(frozenset(), prompt_tokens=12, output_tokens=None))
    assert orjson.loads(response.body) == {"input_tokens": 12, "locus": {"estimated": True}}
    assert response.headers["x-locus-estimated"] == "true"
