"""The small world with its rows fitted once for all tests of the tables, in all test processes."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from research.bench.tables.context import Context
from tests.research.bench.table_world import context


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """kNN, EmbedLLM and ours on twelve models; on one thread, as nets this small lose by sharing work."""
    folder = tmp_path_factory.mktemp("tables")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if "PYTEST_XDIST_WORKER" in os.environ:
            copy_of_first(tmp_path_factory.getbasetemp().parent, folder)
        yield context(folder)
    torch.set_num_threads(before)


def copy_of_first(common: Path, folder: Path) -> None:
    """Copies the fits of the world, which the first process of the run makes while the others wait.

    Each process has its own copy, so that no test sees what another one writes.

    Args:
        common: folder of all processes of this run.
        folder: of this process.
    """
    made = common / "tables"
    with (common / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = folder / "unfinished"
            context(unfinished)
            unfinished.rename(made)
    shutil.copytree(made, folder, dirs_exist_ok=True)
