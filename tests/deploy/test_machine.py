"""The compose file and the systemd unit."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from gateway.config.portfolio_file import load_portfolio
from gateway.config.settings import Settings
from tests.deploy.tools import DEPLOY, ROOT, run

COMPOSE = DEPLOY / "compose.yaml"
UNIT = DEPLOY / "locus-gateway.service"


def test_the_compose_file_fits_the_schema_of_compose() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_gives_the_portfolio_what_it_names() -> None:
    gateway = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["gateway"]
    given = {name: re.sub(r"\$\{(\w+)[^}]*\}", r"\1", value) for name, value in gateway["environment"].items()}
    portfolio = load_portfolio(DEPLOY / "portfolio" / "portfolio.yaml", given)
    assert not portfolio.warnings
    assert len(portfolio.settings.keys) == 1
    assert portfolio.settings.store is not None
    assert "./portfolio:/etc/locus:ro" in gateway["volumes"]
    assert gateway["command"] == ["--config", "/etc/locus/portfolio.yaml"]


def test_services_are_restricted_and_watched() -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    for name in ("gateway", "valkey"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    assert all("healthcheck" in services[name] for name in ("postgres", "valkey"))
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(port.startswith("127.0.0.1:") for port in services["gateway"]["ports"])
    assert "ports" not in services["postgres"]
    assert "ports" not in services["valkey"]


def systemd_analyze(*arguments: str | Path) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, which comes with systemd")
    done = run("systemd-analyze", *arguments)
    return done.stdout + done.stderr


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/locus/bin/locus", shutil.which("true") or ""))
    assert systemd_analyze("verify", unit) == ""


def test_the_unit_is_hardened() -> None:
    found = re.search(r"exposure level for \S+: ([0-9.]+)", systemd_analyze("security", "--offline=yes", UNIT))
    assert found is not None
    assert float(found[1]) <= 2.0, "0 is the most restricted, 10 the least"


def test_the_unit_waits_longer_than_the_gateway() -> None:
    text = UNIT.read_text(encoding="utf-8")
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > Settings().shutdown_grace
