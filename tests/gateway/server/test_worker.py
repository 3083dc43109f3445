"""Shares of the gateway's own limits among workers; limits of keys and deployments need a store that the workers share."""

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.server.worker import Worker, check_shareable
from tests.gateway.running import entry, write_portfolio


def test_shares_of_limits_add_up(tmp_path: Path) -> None:
    model = entry("llama-8b", "http://127.0.0.1:1/v1")
    model["deployments"][0] |= {"rpm": 100, "tpm": 7, "max_parallel_requests": 2}
    path = write_portfolio(tmp_path, [model], gateway={"max_requests": 10, "max_queued": 1, "max_memory_mb": 900})
    portfolio = load_portfolio(path, {})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shares = [Worker(index, 3, theirs).share(portfolio) for index in range(3)]
        assert Worker(0, 1, theirs).share(portfolio) == portfolio
    loads = [share.settings for share in shares]
    assert [load.max_requests for load in loads] == [4, 3, 3]
    assert [load.max_queued for load in loads] == [1, 0, 0]
    assert [load.max_memory_bytes for load in loads] == [300 << 20] * 3
    (limits,) = {(d.rpm, d.tpm, d.max_parallel_requests) for d in (share.models[0].deployments[0] for share in shares)}
    assert limits == (100, 7, 2)  # for all workers together


@pytest.mark.parametrize(
    ("limited", "named"),
    [
        ({"keys": [{"name": "ci", "key": "os.environ/K", "rpm": 5}]}, "the key ci"),
        ({"teams": [{"name": "build", "tpm": 5}]}, "the team build"),
        ({"models": {"max_parallel_requests": 1}}, "the deployment llama-8b/0"),
        (
            {
                "embedding_models": [
                    {"name": "v", "deployments": [{"model": "ollama/m", "rpm": 5}], "max_input_tokens": 1}
                ]
            },
            "v/0",
        ),
    ],
)
def test_limits_need_a_database_that_the_workers_share(tmp_path: Path, limited: dict[str, Any], named: str) -> None:
    model = entry("llama-8b", "http://127.0.0.1:1/v1")
    model["deployments"][0] |= limited.pop("models", {})
    for record, shareable in (("record.db", True), (None, False)):
        portfolio = load_portfolio(
            write_portfolio(tmp_path, [model], gateway={"record": record}, **limited), {"K": "sk"}
        )
        if shareable:
            check_shareable(portfolio)
        else:
            with pytest.raises(PortfolioError, match=f"cannot share the limits of .*{named} without a database"):
                check_shareable(portfolio)
    unlimited = entry("llama-8b", "http://127.0.0.1:1/v1")
    check_shareable(load_portfolio(write_portfolio(tmp_path, [unlimited], gateway={"record": None}), {}))
