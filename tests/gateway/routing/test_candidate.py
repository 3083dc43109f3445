from pathlib import Path
from typing import Any

from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.routing.candidate import MAX_REASONS, none_callable, unavailable_reasons
from tests.gateway.running import entry, write_portfolio

URL = "http://127.0.0.1:9/v1"


def deployments(folder: Path, *keys: str) -> tuple[LiveDeployment, ...]:
    model: dict[str, Any] = entry("m", *[URL] * len(keys))
    for deployment, key in zip(model["deployments"], keys, strict=True):
        deployment["api_key"] = key
    live = LiveDeployments(load_portfolio(write_portfolio(folder, [model]), {}), clock=lambda: 0.0)
    return tuple(live.models["m"].deployments)


def test_each_reason_is_given_once(tmp_path: Path) -> None:
    some = deployments(tmp_path, "os.environ/FIRST", "sk", "os.environ/FIRST", "os.environ/SECOND")
    text = unavailable_reasons(some)
    assert text.startswith(" (m/0: ")
    assert (text.count("FIRST"), text.count("SECOND"), text.count(";")) == (1, 1, 1)
    assert unavailable_reasons(some[1:2]) == ""


def test_a_client_gets_a_few_reasons_only(tmp_path: Path) -> None:
    some = deployments(tmp_path, *[f"os.environ/KEY_{i}" for i in range(MAX_REASONS + 3)])
    assert unavailable_reasons(some).count(";") == MAX_REASONS - 1


def test_without_an_operator_a_retry_does_not_help(tmp_path: Path) -> None:
    error = none_callable(deployments(tmp_path, "os.environ/FIRST"))
    assert error.status == 503
    assert error.headers == {"x-should-retry": "false"}
    assert "FIRST" in error.message
