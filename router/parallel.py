"""Runs independent jobs on the cores of this machine, on a Dask cluster or on a Ray cluster: one code for all, by joblib.

Each job computes with one thread, since the last bits of a product depend on how it is divided among threads. So every engine
gives the same bytes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from router.errors import EngineError
from router.extras import require

LOCAL = "local"
SECONDS = 10  # longest wait for a scheduler
_CLUSTER = re.compile(r"(dask|ray)://([^/\s]+:\d+)")
T = TypeVar("T")


def check_engine(engine: str) -> None:
    """Checks the name of an engine: `local`, `dask://HOST:PORT` or `ray://HOST:PORT`.

    Raises:
        EngineError: it is none of these.
    """
    if engine != LOCAL and not _CLUSTER.fullmatch(engine):
        raise EngineError(f"engine {engine!r}: expected {LOCAL}, dask://HOST:PORT or ray://HOST:PORT")


def run_jobs(
    function: Callable[..., T], jobs: Iterable[tuple[Any, ...]], count: int, engine: str, *, fewest: int = 2
) -> Iterator[T]:
    """Calls a function with each tuple of arguments and yields the results in the order of the jobs, as they are ready.

    Args:
        function: of a module that the workers can import.
        jobs: the arguments of each call, which are sent to the workers; taken from the iterable only shortly before.
        count: the number of jobs.
        engine: see `check_engine`. On a cluster every worker needs the same version of this package. `local` without joblib is
            this process alone.
        fewest: fewer jobs than this run in this process where the engine is `local`: starting others takes some seconds.

    Raises:
        EngineError: the engine is not known, or its scheduler cannot be reached.
        MissingPackage: the client of the engine is not installed.
    """
    check_engine(engine)
    if engine == LOCAL and (count < fewest or find_spec("joblib") is None):
        yield from (_with_one_thread(function, job) for job in jobs)
        return
    require("joblib", extra="replay")
    import joblib

    with _backend(engine):
        calls = (joblib.delayed(_with_one_thread)(function, job) for job in jobs)
        results = "list" if engine.startswith("ray:") else "generator"  # Ray's backend has no generators
        yield from joblib.Parallel(n_jobs=-1, return_as=results, batch_size=1, pre_dispatch="2*n_jobs")(calls)


def _with_one_thread(function: Callable[..., T], job: tuple[Any, ...]) -> T:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return function(*job)


@contextmanager
def _backend(engine: str) -> Iterator[None]:
    """Makes joblib use the engine in this block.

    Raises:
        EngineError, MissingPackage: see `run_jobs`.
    """
    import joblib

    found = _CLUSTER.fullmatch(engine)
    if found is None:
        with joblib.parallel_config(backend="loky"):
            yield
        return
    kind, address = found.groups()
    with _dask(address) if kind == "dask" else _ray(engine):
        yield


@contextmanager
def _dask(address: str) -> Iterator[None]:
    import joblib

    require("distributed", extra="dask")
    from distributed import Client

    try:
        client = Client(f"tcp://{address}", timeout=SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except OSError as exc:
        raise EngineError(f"dask://{address}: no Dask scheduler answers there: {exc}") from exc
    with client, joblib.parallel_config(backend="dask", client=client):
        yield


@contextmanager
def _ray(engine: str) -> Iterator[None]:
    import joblib

    require("ray", extra="ray")
    import ray
    from ray.util.joblib import register_ray

    try:
        ray.init(address=engine, logging_level="ERROR")
    except ConnectionError as exc:
        raise EngineError(f"{engine}: no Ray cluster answers there: {exc}") from exc
    try:
        register_ray()
        with joblib.parallel_config(backend="ray"):
            yield
    finally:
        ray.shutdown()
