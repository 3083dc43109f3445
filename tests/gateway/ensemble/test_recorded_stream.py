"""What a recorder of chunks keeps, and when it stops."""

from gateway.bodies.memory_budget import MemoryBudget
from gateway.core.answer import Chunk
from gateway.ensemble.recorded_stream import ChunkRecorder
from tests.gateway.api.exchanges import chunk


def test_a_recorder_stops_the_read_where_the_memory_is_spent() -> None:
    budget, recorder = MemoryBudget(lambda: 20_000), ChunkRecorder()
    text: Chunk = chunk({"content": "x" * 1_000})  # without bytes that could be relayed
    with budget.account():
        written = [recorder.write(text, text.fields, "m") for _ in range(5)]
        assert budget.charged > 6_000
    assert recorder.refused == "needs more memory than the gateway has left"
    assert 0 < len(recorder.chunks) < 5
    assert [data == b"" for data in written] == [i < len(recorder.chunks) for i in range(5)]
    assert budget.charged == 0
