from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config.access import EVERYTHING
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import InvalidRequest, UnknownModel
from gateway.deployments.live import LiveDeployments
from gateway.http.embeddings_endpoint import MAX_INPUTS, check_built_in, embedding_model
from gateway.request.embeddings_request import parse_embeddings
from tests.gateway.running import entry, write_portfolio

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("name", "error"),
    [("auto", InvalidRequest), ("auto:best", InvalidRequest), ("llama-8b", InvalidRequest), ("vector", UnknownModel)],
)
def test_only_the_name_of_an_embedding_model_is_valid(tmp_path: Path, name: str, error: type[Exception]) -> None:
    vectors = {"name": "vectors", "deployments": [{"model": "openai/v", "api_base": URL, "api_key": "k"}]}
    path = write_portfolio(tmp_path, [entry("llama-8b", URL)], embedding_models=[vectors])
    live = LiveDeployments(load_portfolio(path, {}))
    for known in ("vectors", "locus-encoder"):
        assert embedding_model(live, known, EVERYTHING).name == known
    with pytest.raises(error, match="Embedding models are `vectors`, `locus-encoder`"):
        embedding_model(live, name, EVERYTHING)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": ["x"] * MAX_INPUTS, "dimensions": 3, "encoding_format": "base64"},
        {"encoding_format": "float", "user": "ada"},
    ],
)
def test_the_built_in_model_can_answer(fields: dict[str, Any]) -> None:
    check_built_in(parse_embeddings(orjson.dumps({"model": "m", "input": "x"} | fields)), 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("input", [1, 2]), ("input", ["x"] * (MAX_INPUTS + 1)), ("encoding_format", "int8"), ("dimensions", 4)],
)
def test_the_field_that_the_built_in_model_does_not_support_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_built_in(parse_embeddings(orjson.dumps({"model": "m", "input": "x"} | {field: value})), 3)
    assert caught.value.param == field
