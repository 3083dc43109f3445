"""When the same deployment is asked again."""

import random

import pytest

from gateway.answering.retry import BACKOFF_S, MAX_TRIES, QUICK_RETRY_S, WINDOW_S, Budget, retry_delay
from gateway.config.settings import RetrySettings
from gateway.provider_errors.failures import Cause, UpstreamFailure

SETTINGS = RetrySettings(retries=2, max_retry_after=10.0)


def delay(cause: Cause, tries: int = 1, after_s: float | None = None, *, alone: bool = False) -> float | None:
    failure = UpstreamFailure(cause, retry_after_s=after_s)
    return retry_delay(failure, tries, SETTINGS, random.Random(1), alone=alone)


@pytest.mark.parametrize("cause", [Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.SERVER_ERROR, Cause.CONNECTION])
def test_where_no_other_deployment_is_left_a_named_time_is_waited_for(cause: Cause) -> None:
    assert delay(cause, 1, 2.0, alone=True) == 2.0
    assert delay(cause, 2, 2.0, alone=True) == 2.0
    assert delay(cause, 3, 2.0, alone=True) is None
    assert delay(cause, 1, 10.1, alone=True) is None


def test_where_one_is_left_only_a_rate_limit_is_waited_for() -> None:
    assert delay(Cause.RATE_LIMITED, 1, 2.0) == 2.0
    assert delay(Cause.OVERLOADED, 1, 2.0) is None
    quick = delay(Cause.SERVER_ERROR, 1, 2.0)
    assert quick is not None
    assert quick <= QUICK_RETRY_S


def test_an_overloaded_provider_without_a_time_is_asked_again() -> None:
    first, second = delay(Cause.OVERLOADED, 1), delay(Cause.OVERLOADED, 2, alone=True)
    assert first is not None
    assert first <= QUICK_RETRY_S
    assert delay(Cause.OVERLOADED, 2) is None
    assert second is not None
    assert second <= 2 * BACKOFF_S


def test_a_fault_of_this_machine_is_tried_again_once() -> None:
    assert delay(Cause.LOCAL) is not None
    assert delay(Cause.LOCAL, 2) is None


@pytest.mark.parametrize("cause", [Cause.FIELD_REFUSED, Cause.VALUE_REFUSED])
def test_a_changed_request_is_sent_at_once_as_long_as_calls_are_left(cause: Cause) -> None:
    assert [delay(cause, tries) for tries in range(1, MAX_TRIES + 1)] == [0.0] * (MAX_TRIES - 1) + [None]


@pytest.mark.parametrize(
    "cause",
    [Cause.AUTH, Cause.NOT_FOUND, Cause.QUOTA, Cause.REFUSED, Cause.TOO_LARGE, Cause.CONTEXT_LENGTH, Cause.TIMEOUT]
    + [Cause.UNSUPPORTED, Cause.REJECTED, Cause.CONTENT_FILTER],
)
def test_others_are_not_repeated(cause: Cause) -> None:
    assert delay(cause, alone=True) is None


def test_a_budget_allows_its_reserve_and_a_share_of_the_requests() -> None:
    budget = Budget(lambda: 0.0, reserve=2)
    for _ in range(10):
        budget.count_request()
    assert [budget.take(0.2) for _ in range(5)] == [True] * 4 + [False]
    budget = Budget(lambda: 0.0, reserve=2)
    budget.count_extra_call()
    assert [budget.take(0.0) for _ in range(2)] == [True, False]  # a call that is made in any case counts too


def test_a_budget_forgets_after_two_windows() -> None:
    now = 0.0
    budget = Budget(lambda: now, reserve=1)
    assert budget.take(0.0)
    now = WINDOW_S
    assert not budget.take(0.0)
    now = 2 * WINDOW_S
    assert budget.take(0.0)
    now = 9 * WINDOW_S
    assert budget.take(0.0)
