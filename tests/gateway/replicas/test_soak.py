"""A short soak of replicas; `make soak-replicas` runs a long one."""

from pathlib import Path

import click
import pytest

from scripts.soak.replicas import soak

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_limits_and_ledger_hold_while_parts_are_killed_and_stopped(tmp_path: Path) -> None:
    try:
        found = await soak(20 / 60, seed=2, folder=tmp_path, settled_s=0)
    except click.ClickException as exc:
        if not exc.message.startswith("needs "):
            raise
        pytest.skip(exc.message)
    assert found.broken == []
