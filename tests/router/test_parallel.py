"""Jobs on several engines: results in order and equal to the last bit, and clear errors for engines that do not answer."""

import importlib.util
import os
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from router.errors import EngineError, MissingPackage
from router.parallel import LOCAL, check_engine, run_jobs
from tests.router.dask_cluster import dask

__all__ = ["dask"]
ROWS = [np.random.default_rng(seed).standard_normal((300, 290)).astype(np.float32) for seed in range(5)]


def gram(rows: np.ndarray, times: float) -> np.ndarray:
    return rows.T @ rows * np.float32(times)


def process() -> int:
    return os.getpid()


def jobs() -> Iterator[tuple[np.ndarray, float]]:
    return ((rows, number) for number, rows in enumerate(ROWS, 1))


def test_jobs_give_equal_bytes_in_this_process_and_in_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    assert os.getpid() not in run_jobs(process, [()] * 4, 4, LOCAL)
    alone = [next(iter(run_jobs(gram, [job], 1, LOCAL))) for job in jobs()]
    beside = list(run_jobs(gram, jobs(), len(ROWS), LOCAL))
    assert [found.tobytes() for found in beside] == [found.tobytes() for found in alone]


def test_few_jobs_and_a_machine_without_joblib_need_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    few = list(run_jobs(process, [()] * 3, 3, LOCAL, fewest=4))
    monkeypatch.setattr("router.parallel.find_spec", lambda name: None)
    assert {*few, *run_jobs(process, [()] * 3, 3, LOCAL)} == {os.getpid()}


@pytest.mark.slow
def test_jobs_give_equal_bytes_on_a_dask_cluster(dask: str) -> None:
    local = list(run_jobs(gram, jobs(), len(ROWS), LOCAL))
    assert [found.tobytes() for found in run_jobs(gram, jobs(), len(ROWS), dask)] == [f.tobytes() for f in local]


@pytest.mark.parametrize("engine", ["", "spark://127.0.0.1:7077", "dask://127.0.0.1", "dask://", "ray:8265"])
def test_an_engine_that_does_not_exist_is_refused(engine: str) -> None:
    with pytest.raises(EngineError, match="expected local, dask://HOST:PORT or ray://HOST:PORT"):
        check_engine(engine)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the package distributed")
    monkeypatch.setattr("router.parallel.SECONDS", 1)
    with socket.socket() as closed:  # bound, but it does not listen
        closed.bind(("127.0.0.1", 0))
        address = f"dask://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(EngineError, match=f"{address}: no Dask scheduler answers there"):
            list(run_jobs(gram, jobs(), len(ROWS), address))


def test_a_missing_client_is_named_with_the_extra_that_installs_it() -> None:
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("the package ray is installed")
    with pytest.raises(MissingPackage, match=r"locus-gateway\[ray\]"):
        list(run_jobs(gram, jobs(), len(ROWS), "ray://127.0.0.1:10001"))
