"""A Dask cluster of two processes on this machine, for tests of jobs that run on one."""

import importlib.util
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def dask() -> Iterator[str]:
    """The engine's name."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs the package distributed")
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")
