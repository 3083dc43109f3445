"""Shared fixtures. Asynchronous tests run on asyncio by anyio's plugin."""

import gc
import re
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

from tests.gateway.postgres import postgres

__all__ = ["postgres"]

TESTS = Path(__file__).parent
SHARED = TESTS.parent.parent / "shared"
# What `make test-fast` leaves out: these folders and files, and each file that starts gateways or processes.
SLOW = re.compile(
    r"(clients|deploy|faults|package|research|router/commands|router/train|gateway/server)/"
    r"|gateway/http/test_fuzz|gateway/api/responses/test_request_to_chat|gateway/config/test_yaml_reader|router/explore/test_draw|router/data/test_bad_files"
)
STARTS_A_GATEWAY = re.compile(
    r"^(import subprocess|from tests\.gateway\.(running|upstreams|mutations)|from tests\.faults)", re.MULTILINE
)
# Files that take longest; they start first, so that no process is left alone with one of them at the end.
LONGEST = (
    "gateway/server/test_workers.py",
    "router/train/test_train.py",
    "gateway/commands/test_demo.py",
    "gateway/http/test_secrets.py",
    "research/bench/test_tables_accuracy.py",
    "gateway/commands/test_onboard.py",
    "gateway/server/test_stop.py",
    "clients/test_litellm_proxy.py",
    "gateway/replicas/test_soak.py",
    "gateway/answering/test_provider_mutations.py",
    "gateway/http/test_edge_cases.py",
    "clients/test_llama_index.py",
    "research/bench/test_rows.py",
    "faults/test_before_content.py",
    "gateway/commands/test_serve.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """`-n auto` is one test process more than cores: tests wait for processes, sockets and limits for a third of their time."""
    return (yield) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: to look through it again and again for garbage takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Does not import the files whose tests would all be left out: to import their clients takes seconds. The tests in a browser
    run if their folder is named, as `make test-ui` does."""
    if collection_path == TESTS / "browser" and not any("browser" in Path(arg).parts for arg in config.args):
        return True
    fast = config.getoption("markexpr") == "not slow"
    return True if fast and collection_path.name.startswith("test_") and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks slow tests, and puts the longest files first."""
    for item in items:
        if is_slow(item.path):
            item.add_marker("slow")
    items.sort(key=lambda item: place(item.path))


@cache
def is_slow(path: Path) -> bool:
    """Return True for a file whose tests start gateways or processes, wait for timeouts or train models."""
    if not path.is_relative_to(TESTS):
        return False
    return bool(
        SLOW.match(path.relative_to(TESTS).as_posix()) or STARTS_A_GATEWAY.search(path.read_text(encoding="utf-8"))
    )


@cache
def place(path: Path) -> int:
    name = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def evaluations() -> Path:
    """The public evaluation data, where it lies beside the checkout."""
    folder = SHARED / "data" / "llm-evals"
    if not folder.is_dir():
        pytest.skip(f"needs the public evaluation data in {folder}")
    return folder
