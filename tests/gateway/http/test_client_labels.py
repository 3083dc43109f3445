from dataclasses import replace
from typing import Any

import pytest

from gateway.http.client_labels import ClientLabels, client_labels
from gateway.request.request import Native, Request
from gateway.request.requirements import Requirements


def request(native: dict[str, Any] | None = None, **fields: Any) -> Request:
    plain = Request(b"{}", fields, "auto", Requirements(frozenset(), 0, None))
    return plain if native is None else replace(plain, native=Native("messages", b"{}", native))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), ClientLabels()),
        (request(user="alice", safety_identifier="s"), ClientLabels("alice", "s")),
        (request({"metadata": {"user_id": "bob"}}), ClientLabels("bob", None, '{"user_id":"bob"}')),
        (request({"user": "native"}, user="translated"), ClientLabels("native")),
        (request(user=5, safety_identifier="", metadata=["x"]), ClientLabels()),
        (request(metadata={"a": 1, "b": "x"}), ClientLabels(None, None, '{"b":"x"}')),
        (request(user="u" * 999), ClientLabels("u" * 256)),
        (request(user="a\ud800"), ClientLabels("a?")),
        (request(metadata={"k\ud800": "v"}), ClientLabels(None, None, '{"k?":"v"}')),
    ],
)
def test_labels_are_texts_that_can_be_stored(asked: Request, expected: ClientLabels) -> None:
    assert client_labels(asked) == expected


def test_metadata_is_limited() -> None:
    labels = client_labels(request(metadata={f"{i:099}": "v" * 999 for i in range(50)}))
    assert labels.metadata is not None
    assert len(labels.metadata) < 16 * (64 + 512 + 10)
