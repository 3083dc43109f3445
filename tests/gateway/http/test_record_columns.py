"""The columns of records about decisions."""

from gateway.http.record_columns import candidates_column, conversation_column
from gateway.routing.decision import Decision


def test_a_named_model_has_no_candidates_and_no_conversation() -> None:
    named = Decision(("llama-8b",), None, 0)
    assert candidates_column(named, {}) is None
    assert candidates_column(None, {}) is None
    assert conversation_column(named) is None
    assert conversation_column(None) is None
