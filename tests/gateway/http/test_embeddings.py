"""Embeddings through the gateway: the official client on one side, scripted providers on loopback on the other."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from starlette.types import Receive, Scope, Send

from gateway.config.portfolio_file import load_portfolio
from gateway.http.admission import Admission, Admitted
from gateway.http.app import create_app
from gateway.http.edge import Edge
from gateway.http.embeddings_endpoint import EmbeddingsEndpoint
from gateway.http.service import open_service
from router.encode.load import load_encoder
from tests.conformance import validate
from tests.gateway.running import DIALECTS, Gateway, entry, eventually, serving, shipped_router, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, error, reply, silent

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:9/v1"
TIMEOUT_S = 60  # the first call through litellm imports it: 5 s of computing, and far longer on a busy machine
CHAT = entry("llama-8b", NOWHERE)


@asynccontextmanager
async def gateway(folder: Path, *deployments: dict[str, Any], key: str = "none", **more: Any) -> AsyncIterator[Gateway]:
    """A gateway with one chat model and, if deployments are given, the embedding model `vectors`."""
    vectors = {"name": "vectors", "deployments": deployments, "price": {"input": 2.0}, "max_input_tokens": 100}
    listed = {"embedding_models": [vectors]} if deployments else {}
    portfolio = load_portfolio(write_portfolio(folder, [CHAT], **listed, **more), {"LOCUS_KEY": "sk-gateway"})
    async with open_service(portfolio, router=shipped_router()) as service:
        admission = Admission(lambda: portfolio.settings, service.metrics)
        embeddings = Edge(
            Admitted(EmbeddingsEndpoint(service), admission), lambda: portfolio.settings, DIALECTS, service.keys
        )
        others = create_app(service)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await (embeddings if scope.get("path") == "/v1/embeddings" else others)(scope, receive, send)

        async with serving(app) as (server, url):
            client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)
            async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http, client:
                yield Gateway(url, service, http, client, server)


def at(up: ScriptedProvider, **more: Any) -> dict[str, Any]:
    return {"model": "openai/up-vectors", "api_base": up.base_url, "api_key": "sk-up", **more}


def vectors() -> Reply:
    """A vector of two numbers for each input, in the form that the request asks for."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        asked = call.body["input"]
        inputs = [asked] if isinstance(asked, str) or isinstance(asked[0], int) else asked
        data: list[dict[str, Any]] = []
        for i in range(len(inputs)):
            vector: Any = [float(i), 0.5]
            if call.body.get("encoding_format") == "base64":
                vector = base64.b64encode(np.array(vector, "<f4").tobytes()).decode()
            data.append({"object": "embedding", "index": i, "embedding": vector})
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return await reply(200, {"object": "list", "data": data, "model": call.body["model"], "usage": usage})(
            call, writer
        )

    return send


# Relayed


async def test_the_bytes_of_request_and_response_are_relayed(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        sent = b'{ "model":"vectors", "input" : ["a", "b"], "user": "u-1", "dimensions": 2, "own": [1] }'
        answer = await run.http.post("/v1/embeddings", content=sent)
        assert (answer.status_code, answer.headers["x-locus-model"]) == (200, "vectors")
        assert answer.json()["model"] == "vectors"
        assert [item["embedding"] for item in answer.json()["data"]] == [[0.0, 0.5], [1.0, 0.5]]
        (call,) = up.calls
        assert (call.path, call.headers["authorization"]) == ("/v1/embeddings", "Bearer sk-up")
        assert call.raw == sent.replace(b'"vectors"', b'"up-vectors"')


@pytest.mark.parametrize("given", ["one", ["one", "two"], [1, 2, 3], [[1], [2, 3]]])
async def test_the_official_client_gets_a_vector_for_each_input(tmp_path: Path, given: Any) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        answer = await run.client.embeddings.create(model="vectors", input=given)
        assert [item.embedding for item in answer.data] == [[0.0, 0.5], [1.0, 0.5]][: len(answer.data)]
        assert len(answer.data) == (2 if isinstance(given, list) and not isinstance(given[0], int) else 1)
        assert (answer.model, answer.usage.prompt_tokens) == ("vectors", 7)
        assert up.calls[0].body["encoding_format"] == "base64"  # as that client asks by itself


async def test_a_request_is_recorded_with_its_price_and_counted(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up), gateway={"store_prompts": True}) as run:
        await run.client.embeddings.create(model="vectors", input="what is it?")
        (record,) = await run.records()
        assert (record["requested"], record["chosen"], record["served"]) == ("vectors", "vectors", "vectors")
        assert (record["deployment"], record["status"], record["stream"]) == ("vectors/0", 200, 0)
        assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 0)
        assert record["cost_nusd"] == 14_000
        assert record["prompt"] == "what is it?"
        text = (await run.http.get("/metrics")).text
        assert 'locus_tokens_total{kind="prompt",model="vectors"} 7.0' in text
        assert 'locus_deployment_available{deployment="vectors/0",model="vectors"} 1.0' in text
        assert "locus-encoder" not in text


async def test_an_unnamed_answer_gets_the_models_name(tmp_path: Path) -> None:
    answer = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": None}
    async with ScriptedProvider(reply(200, answer)) as up, gateway(tmp_path, at(up)) as run:
        got = await run.http.post("/v1/embeddings", json={"model": "vectors", "input": "x"})
        assert got.json() == answer | {"model": "vectors", "usage": {"prompt_tokens": 0, "total_tokens": 0}}


# Failover


async def test_another_deployment_of_the_same_model_answers_for_one_that_fails(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as bad, ScriptedProvider(vectors()) as good:
        async with gateway(tmp_path, at(bad, weight=1e6), at(good)) as run:
            answer = await run.client.embeddings.create(model="vectors", input="x")
            assert answer.data[0].embedding == [0.0, 0.5]
            (record,) = await run.records()
    assert record["deployment"] == "vectors/1"
    assert [(f["deployment"], f["cause"]) for f in record["failover"]] == [
        ("vectors/0", "server_error")
    ] * 2  # with its retry
    assert len(bad.calls) == 2


async def test_no_other_model_answers(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as bad, gateway(tmp_path, at(bad)) as run:
        with pytest.raises(openai.APIStatusError, match="vectors: server_error") as caught:
            await run.client.embeddings.create(model="vectors", input="x")
        assert caught.value.status_code == 502
        assert "x-should-retry" not in caught.value.response.headers  # clients come back after an outage


async def test_a_short_retry_after_leads_to_a_retry_at_the_same_deployment(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        up.replies.append(error(429, headers={"retry-after-ms": "10"}))
        assert (await run.client.embeddings.create(model="vectors", input="x")).data
        assert len(up.calls) == 2


async def test_a_breaker_opens_after_failures_in_a_row(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as bad, gateway(tmp_path, at(bad), gateway={"breaker_failures": 2}) as run:
        for _ in range(2):
            with pytest.raises(openai.APIStatusError):
                await run.client.embeddings.create(model="vectors", input="x")
        (live,) = run.service.in_force.deployments.embedding_models["vectors"].deployments
        assert "cooling down" in str(live.unavailable())


async def test_an_optional_field_that_a_deployment_refuses_is_not_sent_again(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        up.replies.append(error(400, "Unknown parameter: 'user'", "unknown_parameter"))
        assert (await run.client.embeddings.create(model="vectors", input="x", user="u")).data
        assert ["user" in call.body for call in up.calls] == [True, False]


async def test_the_providers_message_for_a_bad_request_reaches_the_client(tmp_path: Path) -> None:
    async with ScriptedProvider(error(400, "dimensions must be at most 8")) as up, gateway(tmp_path, at(up)) as run:
        with pytest.raises(openai.BadRequestError, match="dimensions must be at most 8"):
            await run.client.embeddings.create(model="vectors", input="x", dimensions=9)
        assert len(up.calls) == 1


@pytest.mark.parametrize(
    "answer", [b"<html>", {"data": "none"}, {"data": [{"index": 0}]}, [], {"error": "out of order"}]
)
async def test_an_answer_without_vectors_is_a_failure(tmp_path: Path, answer: Any) -> None:
    async with ScriptedProvider(reply(200, answer)) as up, gateway(tmp_path, at(up), gateway={"retries": 0}) as run:
        with pytest.raises(openai.APIStatusError) as caught:
            await run.client.embeddings.create(model="vectors", input="x")
        assert caught.value.status_code == 502


async def test_a_silent_deployment_ends_at_its_timeout(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as up, gateway(tmp_path, at(up, timeout=0.1)) as run:
        with pytest.raises(openai.APIStatusError) as caught:
            await run.client.embeddings.create(model="vectors", input="x")
        assert caught.value.status_code == 504


async def test_a_disconnected_client_ends_the_call(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as up, gateway(tmp_path, at(up)) as run:
        asking = asyncio.create_task(run.http.post("/v1/embeddings", json={"model": "vectors", "input": "abcd" * 3}))
        await eventually(lambda: bool(up.calls))
        asking.cancel()
        await asyncio.wait_for(up.calls[0].closed.wait(), 20)
        (record,) = await run.records()
        assert (record["error"], record["prompt_tokens"], record["usage_estimated"]) == ("client_disconnected", 3, 1)


async def test_health_checks_call_embedding_deployments(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up, health_check_interval=0.05)):
        await eventually(lambda: bool(up.calls))
        assert (up.calls[0].path, up.calls[0].body["input"]) == ("/v1/embeddings", "Hi")


# Through litellm


async def test_a_provider_with_a_protocol_of_its_own_goes_through_litellm(tmp_path: Path) -> None:
    answer = {
        "id": "1",
        "texts": ["a", "b"],
        "embeddings": {"float": [[0.25, 0.5], [1.0, 2.0]]},
        "meta": {"billed_units": {"input_tokens": 5}},
    }
    async with ScriptedProvider(reply(200, answer)) as up:
        deployment = {"model": "cohere/embed-english-v3.0", "api_base": f"{up.base_url}/embed", "api_key": "ck"}
        async with gateway(tmp_path, deployment) as run:
            for form in ("float", "base64"):
                body = {"model": "vectors", "input": ["a", "b"], "encoding_format": form, "api_base": NOWHERE}
                got = await run.http.post("/v1/embeddings", json=body | {"input_type": "search_query"})
                vectors = [item["embedding"] for item in got.json()["data"]]
                if form == "base64":
                    vectors = [np.frombuffer(base64.b64decode(v), "<f4").tolist() for v in vectors]
                assert vectors == [[0.25, 0.5], [1.0, 2.0]]
                assert (got.json()["model"], got.json()["usage"]["prompt_tokens"]) == ("vectors", 5)
    assert up.calls[0].headers["authorization"].endswith("ck")
    assert up.calls[0].body["texts"] == ["a", "b"]
    assert up.calls[0].body["input_type"] == "search_query"


async def test_dimensions_that_litellm_omits_are_refused(tmp_path: Path) -> None:
    answer = {"embeddings": {"float": [[0.25, 0.5]]}, "meta": {"billed_units": {"input_tokens": 5}}}
    async with ScriptedProvider(reply(200, answer)) as up:
        deployment = {"model": "cohere/embed-english-v3.0", "api_base": f"{up.base_url}/embed", "api_key": "ck"}
        async with gateway(tmp_path, deployment) as run:
            assert (await run.client.embeddings.create(model="vectors", input="x", dimensions=2)).data
            with pytest.raises(openai.BadRequestError, match="vectors of 2 dimensions only") as caught:
                await run.client.embeddings.create(model="vectors", input="x", dimensions=3)
    assert caught.value.param == "dimensions"


async def test_litellms_errors_are_classified(tmp_path: Path) -> None:
    async with ScriptedProvider(error(401, "invalid api token")) as up:
        deployment = {"model": "cohere/embed-english-v3.0", "api_base": f"{up.base_url}/embed", "api_key": "ck"}
        async with gateway(tmp_path, deployment) as run:
            for _ in range(2):
                with pytest.raises(openai.APIStatusError, match="vectors: auth"):
                    await run.client.embeddings.create(model="vectors", input="x")
            (live,) = run.service.in_force.deployments.embedding_models["vectors"].deployments
            assert live.needs_operator


# The built-in model


async def test_the_built_in_model_gives_the_encoders_unit_vectors(tmp_path: Path) -> None:
    texts = ["What is the capital of France?", "2 + 2", ""]
    encoder = load_encoder()
    async with gateway(tmp_path) as run:
        answer = await run.client.embeddings.create(model="locus-encoder", input=texts)
        got = np.array([item.embedding for item in answer.data])
        floats = await run.client.embeddings.create(model="locus-encoder", input=texts[0], encoding_format="float")
        (record, _) = await run.records()
    assert got.shape == (3, encoder.text_dim)
    np.testing.assert_allclose(got, encoder.encode(texts)[:, : encoder.text_dim], rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(floats.data[0].embedding, got[0], atol=1e-7)
    assert (answer.model, answer.usage.total_tokens) == ("locus-encoder", 10)
    assert (record["served"], record["cost_nusd"]) == ("locus-encoder", 0)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": [[1], [2]]}, "input"),
        ({"input": ["x"] * 2049}, "input"),
        ({"dimensions": 7}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
    ],
)
async def test_the_built_in_model_refuses_fields_that_it_does_not_support(
    tmp_path: Path, more: dict[str, Any], param: str
) -> None:
    async with gateway(tmp_path) as run:
        got = await run.http.post("/v1/embeddings", json={"model": "locus-encoder", "input": "x"} | more)
    assert (got.status_code, got.json()["error"]["param"]) == (400, param)
    assert "locus-encoder" in got.json()["error"]["message"]


async def test_the_built_in_model_accepts_its_own_dimensions(tmp_path: Path) -> None:
    async with gateway(tmp_path) as run:
        dimensions = run.service.in_force.router.encoder.text_dim
        answer = await run.client.embeddings.create(model="locus-encoder", input="x", dimensions=dimensions)
    assert len(answer.data[0].embedding) == dimensions


async def test_a_long_list_does_not_block_other_requests(tmp_path: Path) -> None:
    texts = [f"{i} " + "many words of a long text, " * 40 for i in range(2000)]
    async with gateway(tmp_path) as run:
        long = asyncio.create_task(run.client.embeddings.create(model="locus-encoder", input=texts))
        await eventually(lambda: run.service.metrics.in_flight == 1)
        assert (await run.http.get("/health/live")).status_code == 200
        assert not long.done()
        assert len((await long).data) == 2000


# Names, keys and shapes


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("auto", 400, "vectors of two models cannot be compared. Embedding models are `vectors`, `locus-encoder`."),
        ("auto:best", 400, "`auto:best` does not choose among embedding models"),
        ("llama-8b", 400, "`llama-8b` is a chat model, not an embedding model. Embedding models are `vectors`"),
        ("gpt-9", 404, "`gpt-9` is not in the portfolio. Embedding models are `vectors`"),
    ],
)
async def test_only_the_name_of_an_embedding_model_is_valid(tmp_path: Path, name: str, status: int, says: str) -> None:
    async with gateway(tmp_path, {"model": "openai/m", "api_base": NOWHERE}) as run:
        with pytest.raises(openai.APIStatusError) as caught:
            await run.client.embeddings.create(model=name, input="x")
    assert (caught.value.status_code, caught.value.param) == (status, "model")
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["vectors", "locus-encoder"])
async def test_answers_conform_to_the_official_schema(tmp_path: Path, name: str) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        got = await run.http.post("/v1/embeddings", json={"model": name, "input": ["a", "b"]})
    validate(got.json(), "CreateEmbeddingResponse")


async def test_a_gateway_key_is_required_if_any_is_configured(tmp_path: Path) -> None:
    keys = {"keys": ["os.environ/LOCUS_KEY"]}
    async with gateway(tmp_path, key="sk-wrong", gateway=keys) as run:
        with pytest.raises(openai.AuthenticationError):
            await run.client.embeddings.create(model="locus-encoder", input="x")
        known = run.client.with_options(api_key="sk-gateway")
        assert (await known.embeddings.create(model="locus-encoder", input="x")).data


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, gateway={"max_body_mb": 0.01}) as run:
        got = await run.http.post("/v1/embeddings", json={"model": "locus-encoder", "input": "x" * 20_000})
    assert (got.status_code, got.json()["error"]["code"]) == (413, "body_too_large")


async def test_an_answer_that_lacks_a_vector_leads_to_failover(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(
            reply(200, {"data": [{"index": 0, "embedding": [0.0]}], "usage": {"prompt_tokens": 1}})
        ) as bad,
        ScriptedProvider(vectors()) as good,
    ):
        async with gateway(tmp_path, at(bad, weight=1000), at(good)) as run:
            answer = await run.client.embeddings.create(model="vectors", input=["one", "two"])
            assert [item.index for item in answer.data] == [0, 1]
            assert len(good.calls) == 1


async def test_readiness_lists_embedding_models_separately(tmp_path: Path) -> None:
    async with ScriptedProvider(vectors()) as up, gateway(tmp_path, at(up)) as run:
        report = (await run.http.get("/health/ready")).json()
    assert report["embedding_models"]["locus-encoder"]["available"]
    assert set(report["embedding_models"]) >= {"vectors", "locus-encoder"}
    assert "vectors" not in report["models"]
