"""Shared fixtures. Asynchronous tests run on asyncio by anyio's plugin."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"


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
