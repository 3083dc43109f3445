"""Responses as they are stored."""

import orjson

from gateway.api.responses.store_rows import charge_values, items_with_ids, response_json, response_row, stored_response

OUTPUT = [{"id": "msg_1", "type": "message"}, {"type": "reasoning"}]
RESPONSE = {"id": "resp_1", "status": "completed", "output": OUTPUT}


def test_a_row_has_the_output_apart() -> None:
    row = response_row(RESPONSE, [{"role": "user"}])
    assert row.input == b'[{"role":"user"}]'
    assert orjson.loads(row.output) == OUTPUT
    assert row.response == b'{"id":"resp_1","status":"completed"}'
    assert row.item_ids == {"msg_1"}
    assert row.size == len(row.input) + len(row.output) + len(row.response)
    assert orjson.loads(response_json(row.response, row.output)) == RESPONSE


def test_a_conversation_is_put_together_in_order() -> None:
    rows = [(b'[{"n":1}]', b'[{"n":2}]'), (b'[{"n":3}]', b'[{"n":4}]')]
    stored = stored_response("resp_2", "session", rows, b'{"id":"resp_2"}', is_complete=True)
    assert stored.input == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert stored.response == {"id": "resp_2", "output": [{"n": 4}]}
    assert stored.items == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert (stored.session, stored.is_complete, stored.size) == ("session", True, 4 * 9 + 15)


def test_items_are_found_by_their_ids() -> None:
    outputs = [b'[{"id":"a","n":1},{"n":2}]', b'[{"id":"b"}]']
    assert items_with_ids(outputs, frozenset({"a", "c"})) == {"a": {"id": "a", "n": 1}}


def test_more_objects_than_a_request_may_have() -> None:
    assert charge_values([b"[]", b"[{}]"])
    assert not charge_values([b"[" + b"{}," * 200_000 + b"{}]"])
