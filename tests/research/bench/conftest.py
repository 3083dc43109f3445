"""The small world with its rows fitted once for all tests of the tables."""

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_limits

from research.bench.tables.context import Context
from tests.research.bench.table_world import context


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """kNN, EmbedLLM and ours on twelve models; on one thread, as nets this small lose by sharing work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield context(tmp_path_factory.mktemp("tables"))
    torch.set_num_threads(before)
