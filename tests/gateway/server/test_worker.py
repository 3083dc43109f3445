"""Shares of the portfolio's limits among workers."""

import socket
from pathlib import Path

from gateway.config.portfolio_file import load_portfolio
from gateway.server.worker import Worker, unshareable_limits
from tests.gateway.running import entry, write_portfolio


def test_shares_of_limits_add_up(tmp_path: Path) -> None:
    model = entry("llama-8b", "http://127.0.0.1:1/v1")
    model["deployments"][0] |= {"rpm": 100, "tpm": 7, "max_parallel_requests": 2}
    vectors = {"name": "vectors", "deployments": [{"model": "ollama/m", "rpm": 5}], "max_input_tokens": 1}
    path = write_portfolio(
        tmp_path,
        [model],
        embedding_models=[vectors],
        gateway={"max_requests": 10, "max_queued": 1, "max_memory_mb": 900},
    )
    portfolio = load_portfolio(path, {})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shares = [Worker(index, 3, theirs).share(portfolio) for index in range(3)]
        assert Worker(0, 1, theirs).share(portfolio) == portfolio
    loads = [share.settings for share in shares]
    assert [load.max_requests for load in loads] == [4, 3, 3]
    assert [load.max_queued for load in loads] == [1, 0, 0]
    assert [load.max_memory_bytes for load in loads] == [300 << 20] * 3
    deployments = [share.models[0].deployments[0] for share in shares]
    assert [d.rpm for d in deployments] == [34, 33, 33]
    assert [d.tpm for d in deployments] == [3, 2, 2]
    assert [d.max_parallel_requests for d in deployments] == [1, 1, 1]  # none can have less
    assert [share.embedding_models[0].deployments[0].rpm for share in shares] == [2, 2, 1]
    assert unshareable_limits(portfolio, 2) == []
    assert unshareable_limits(portfolio, 3) == [
        "llama-8b/0: 3 workers make up to 3 calls at once, not max_parallel_requests: 2"
    ]
    assert {d.health_check_s for d in deployments} == {None}
