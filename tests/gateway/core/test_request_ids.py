"""The ids of requests."""

import re

from gateway.core.request_ids import new_request_id


def test_ids_are_unique_and_have_one_form() -> None:
    ids = [new_request_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", request_id) for request_id in ids)
