"""What one gateway tells of a deployment, and what another one does with it. Between them only text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.answering.call_failure import update_breaker
from gateway.deployments.learned_refusals import LEARNED_S
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.replicas.news import AGREE_S, News, NewsDesk, fingerprint
from tests.gateway.live import Time, model, portfolio


class Gateways:
    """Gateways with the same portfolio; what one posts the others get at once."""

    def __init__(self, folder: Path, number: int = 3, keys: tuple[str, ...] = ()) -> None:
        self.clock = Time()
        self.posted: list[News] = []
        self.lives: list[LiveDeployment] = []
        self.desks: list[NewsDesk] = []
        for i in range(number):
            key = {"api_key": keys[i]} if keys else {}
            (folder / str(i)).mkdir()
            deployments = LiveDeployments(portfolio(folder / str(i), model("m", 2, deployment=key)), clock=self.clock)
            self.desks.append(NewsDesk(f"process {i}", f"replica {i}", self._post, self.clock))
            self.desks[-1].watch(deployments)
            self.lives.append(deployments.models["m"].deployments[0])

    def _post(self, news: News) -> None:
        self.posted.append(news)
        self.deliver(news)

    def deliver(self, news: News, age_s: float = 0.0) -> None:
        told = News.load(news.dump())
        assert told is not None
        for desk in self.desks:
            desk.apply(told, age_s)

    def fail(self, i: int, cause: Cause, times: int = 1, checked: bool = False, **more: Any) -> None:
        for number in range(times):
            update_breaker(
                self.lives[i], UpstreamFailure(cause, **more), self.clock.now, bytes([number]), own_request=checked
            )

    @property
    def available(self) -> list[bool]:
        return [live.unavailable() is None for live in self.lives]


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    return Gateways(tmp_path)


def test_a_wait_that_the_provider_asks_for_holds_for_all(gateways: Gateways) -> None:
    gateways.fail(0, Cause.RATE_LIMITED, status=429, retry_after_s=30.0)
    assert gateways.available == [False, False, False]
    gateways.clock.now += 31
    assert gateways.available == [True, True, True]


@pytest.mark.parametrize("cause", [Cause.AUTH, Cause.QUOTA, Cause.NOT_FOUND])
def test_what_is_the_accounts_is_taken_over_at_once(
    gateways: Gateways, cause: Cause, caplog: pytest.LogCaptureFixture
) -> None:
    gateways.fail(0, cause, times=2, status=401, reason="Incorrect API key provided")
    assert gateways.available == [False, False, False]
    assert all(live.breaker.confirmed for live in gateways.lives)
    assert gateways.lives[2].useless_to_call
    told = [record.message for record in caplog.records if "told by another gateway" in record.message]
    assert len(told) >= 2
    assert all("Incorrect API key provided" in line for line in told)


def test_a_failure_of_one_gateway_counts_as_one_and_that_of_two_takes_the_deployment_out(gateways: Gateways) -> None:
    gateways.fail(0, Cause.CONNECTION, times=5)
    assert gateways.available == [False, True, True]
    gateways.fail(1, Cause.TIMEOUT)  # has met one too, after it was told of another
    gateways.fail(0, Cause.CONNECTION)
    assert gateways.available == [False, True, True]  # the first one's breaker was open already
    gateways.fail(1, Cause.TIMEOUT, times=3)
    assert gateways.available == [False, False, False]


def test_failures_of_two_gateways_at_different_times_do_not_agree(gateways: Gateways) -> None:
    gateways.fail(0, Cause.SERVER_ERROR, times=5)
    gateways.clock.now += AGREE_S + 1
    gateways.fail(1, Cause.SERVER_ERROR, times=5)
    assert gateways.available[2]


def test_what_a_health_check_finds_counts_for_all(gateways: Gateways) -> None:
    for _ in range(5):
        gateways.fail(0, Cause.CONNECTION, checked=True)
        gateways.clock.now += 0.1
    assert gateways.available == [False, False, False]
    gateways.lives[0].succeeded()
    gateways.desks[0].works(gateways.lives[0])
    assert gateways.available == [True, True, True]
    assert gateways.lives[1].breaker.state(gateways.clock.now) == "half-open"  # its next request is the probe


def test_learned_refusals_are_shared_and_the_newest_counts(gateways: Gateways) -> None:
    gateways.lives[0].unknown_fields.note("seed")
    gateways.lives[1].unknown_apis.note("responses")
    gateways.lives[2].no_prefill.note("prefill")
    for live in gateways.lives:
        assert live.dropped_fields == {"seed"}
        assert live.unknown_apis.names == {"responses"}
        assert live.no_prefill.names == {"prefill"}
    gateways.clock.now += LEARNED_S / 2
    gateways.lives[1].unknown_fields.note("seed")
    gateways.clock.now += LEARNED_S / 2 + 1
    assert [live.dropped_fields for live in gateways.lives] == [{"seed"}] * 3
    assert gateways.lives[0].unknown_apis.names == set()


def test_a_newcomer_gets_what_is_left_of_the_time(gateways: Gateways) -> None:
    gateways.fail(0, Cause.RATE_LIMITED, status=429, retry_after_s=30.0)
    gateways.clock.now += 40
    gateways.deliver(gateways.posted[0], age_s=20.0)
    assert gateways.available == [True, False, False]
    gateways.clock.now += 11
    assert gateways.available == [True, True, True]
    gateways.deliver(gateways.posted[0], age_s=31.0)
    assert gateways.available == [True, True, True]


def test_news_of_another_key_are_not_taken_over(tmp_path: Path) -> None:
    gateways = Gateways(tmp_path, 2, ("sk-old-key-1", "sk-new-key-2"))
    gateways.fail(0, Cause.AUTH, times=2, status=401)
    assert gateways.available == [False, True]
    assert "sk-old" not in fingerprint(gateways.lives[0].spec)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"kind": "failed"}', b'{"kind": "x", "new": 1}'])
def test_news_of_another_version_are_ignored(text: bytes) -> None:
    assert News.load(text) is None
