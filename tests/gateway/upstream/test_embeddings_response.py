from base64 import b64decode, b64encode
from typing import Any

import numpy as np
import orjson
import pytest

from gateway.api.embeddings.dialect import with_model_name
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.embeddings_request import parse_embeddings
from gateway.upstream.embeddings_response import UNPARSED_BYTES, in_order, read_embeddings, write_embeddings
from gateway.upstream.embeddings_upstream import litellm_arguments


def long_answer(**more: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": [0.125] * 1000} for i in range(UNPARSED_BYTES // 5000)]
    return {"object": "list", "data": data, "model": "up"} | more


@pytest.mark.parametrize(
    "more",
    [
        {"usage": {"prompt_tokens": 3, "total_tokens": 3}},
        {"usage": {"prompt_tokens": 3, "total_tokens": 3, "details": [1]}},  # another list after the vectors
        {"extra": [1], "usage": {"prompt_tokens": 3, "total_tokens": 3}},
        {"usage": {"prompt_tokens": 3, "total_tokens": 3}, "extra": [[1]]},
    ],
)
def test_the_vectors_of_a_long_answer_are_not_parsed(more: dict[str, Any]) -> None:
    body = orjson.dumps(long_answer(**more))
    assert len(body) > UNPARSED_BYTES
    complete = read_embeddings(body, UNPARSED_BYTES // 5000)
    assert complete.usage is not None
    assert complete.usage.prompt_tokens == 3
    assert orjson.loads(with_model_name(complete, "vectors")) == long_answer(**more) | {"model": "vectors"}


def test_a_long_answer_without_usage_or_model_keeps_its_vectors() -> None:
    answer = long_answer()
    del answer["model"]
    complete = read_embeddings(orjson.dumps(answer), UNPARSED_BYTES // 5000)
    assert complete.usage is None
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    assert orjson.loads(with_model_name(complete, "vectors")) == answer | {"model": "vectors", "usage": usage}


def test_a_truncated_long_answer_is_a_failure() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        read_embeddings(orjson.dumps(long_answer(usage={}))[:-1000], UNPARSED_BYTES // 5000)
    assert caught.value.cause is Cause.UNREADABLE


def numbered(*indexes: Any, size: int = 1) -> bytes:
    """An answer with these indexes, whose vectors contain their position."""
    data = [{"index": index, "embedding": [float(i)] * size} for i, index in enumerate(indexes)]
    return orjson.dumps({"data": data, "usage": {"prompt_tokens": 1}})


@pytest.mark.parametrize("size", [1, UNPARSED_BYTES // 4])  # a long answer is not parsed
@pytest.mark.parametrize(
    ("indexes", "order"),
    [
        ((0, 1, 2), [0, 1, 2]),
        ((2, 0, 1), [1, 2, 0]),
        ((None, None, None), [0, 1, 2]),
        ((0, 0, 0), [0, 1, 2]),
        ((0, 1), None),
        ((0, 1, 2, 3), None),
        ((0, 1, 1), None),
        ((0, 1, 3), None),
        ((1, 2, 3), None),
        ((0, "1", 2), None),
    ],
)
def test_vectors_are_sorted_by_the_index_of_their_input(
    indexes: tuple[Any, ...], order: list[int] | None, size: int
) -> None:
    body = numbered(*indexes, size=size)
    if order is None:
        with pytest.raises(UpstreamFailure) as caught:
            read_embeddings(body, 3)
        assert caught.value.cause is Cause.UNREADABLE
        return
    data = orjson.loads(read_embeddings(body, 3).body)["data"]
    assert [item["embedding"][0] for item in data] == order
    assert [item["index"] for item in data] == [0, 1, 2]


def test_vectors_are_converted_to_the_requested_form() -> None:
    numbers = [0.5, -1.0, 2.0]
    text = b64encode(np.asarray(numbers, "<f4").tobytes()).decode()
    for given, as_base64, requested in ((numbers, True, text), (text, False, numbers), (numbers, False, numbers)):
        for times in (1, UNPARSED_BYTES // 4):  # the vectors of a long answer are not parsed
            vector = given * times if isinstance(given, list) else given if times == 1 else _repeated(numbers, times)
            body = orjson.dumps({"data": [{"index": 0, "embedding": vector}], "usage": {}})
            read = orjson.loads(read_embeddings(body, 1, base64=as_base64).body)["data"][0]["embedding"]
            expected = requested if times == 1 else _repeated(numbers, times) if as_base64 else numbers * times
            assert read == expected


def _repeated(numbers: list[float], times: int) -> str:
    return b64encode(np.asarray(numbers * times, "<f4").tobytes()).decode()


@pytest.mark.parametrize("vector", ["AAA", "AAAA", "AADAfw=="])
def test_base64_of_other_data_is_refused(vector: str) -> None:
    body = orjson.dumps({"data": [{"index": 0, "embedding": vector}]})
    with pytest.raises(UpstreamFailure):
        read_embeddings(body, 1)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 3, "total_tokens": 3, "details": 1}, {"prompt_tokens": 3, "total_tokens": 3, "details": 1}),
        ({"prompt_tokens": 3}, {"prompt_tokens": 3, "total_tokens": 3}),
        ({"total_tokens": 4}, {"prompt_tokens": 4, "total_tokens": 4}),
        ({"prompt_tokens": -1}, {"prompt_tokens": 0, "total_tokens": 0}),
        ({"prompt_tokens": "3", "total_tokens": 2.0}, {"prompt_tokens": 0, "total_tokens": 0}),
        (None, {"prompt_tokens": 0, "total_tokens": 0}),
    ],
)
def test_usage_has_the_required_counts(usage: object, read: dict[str, int]) -> None:
    body = orjson.dumps({"data": [{"index": 0, "embedding": [1.0]}], "usage": usage})
    assert orjson.loads(read_embeddings(body, 1).body)["usage"] == read


def test_a_correct_answer_keeps_its_bytes() -> None:
    item = b'{"embedding":[1e0],"index":0,"object":"embedding"}'
    body = b'{"data":[' + item + b'], "object":"list","usage":{"prompt_tokens":1,"total_tokens":1},"more":1}'
    complete = read_embeddings(body, 1)
    assert complete.body is body
    assert complete.usage == Usage(1)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"data": {}}', b'{"data": [1]}', b'{"data": [{"embedding": []}]}']
)
def test_a_body_without_vectors_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        read_embeddings(body, 1)
    assert caught.value.cause is Cause.UNREADABLE


def test_an_error_with_status_200_is_classified() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        read_embeddings(b'{"error": {"message": "slow down", "code": 429}}', 1)
    assert caught.value.cause is Cause.RATE_LIMITED


def test_items_that_need_no_change_are_returned_themselves() -> None:
    data = [{"object": "embedding", "index": i, "embedding": [1.0]} for i in range(2)]
    assert in_order(data, 2) is data


def test_computed_vectors_are_written_as_numbers_or_base64() -> None:
    vectors = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)
    for form in ("float", "base64"):
        request = parse_embeddings(orjson.dumps({"model": "m", "input": ["a", "b"], "encoding_format": form}))
        for given in (vectors, vectors.tolist()):
            fields = orjson.loads(write_embeddings(request, given, Usage(7)).body)
            written = [item["embedding"] for item in fields["data"]]
            if form == "base64":
                written = [np.frombuffer(b64decode(vector), "<f4").tolist() for vector in written]
            assert written == vectors.tolist()
            assert [item["index"] for item in fields["data"]] == [0, 1]
            assert (fields["model"], fields["usage"]) == ("m", {"prompt_tokens": 7, "total_tokens": 7})


def test_litellm_gets_known_arguments_only() -> None:
    fields = {
        "model": "m",
        "input": "x",
        "encoding_format": "base64",
        "api_base": "http://x",
        "dimensions": 2,
        "user": None,
    }
    request = parse_embeddings(orjson.dumps(fields))
    assert litellm_arguments(request, frozenset()) == {"input": "x", "dimensions": 2}
    assert litellm_arguments(request, frozenset({"dimensions"})) == {"input": "x"}
