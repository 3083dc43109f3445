from gateway.breaker import TAKEN_OUT_S, WINDOW, Breaker, BreakerSettings

SETTINGS = BreakerSettings(failures=3, cool_down_s=5, max_cool_down_s=20)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.start(now)
        breaker.failure(now, "server_error")
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_does_not() -> None:
    breaker = Breaker(SETTINGS)
    for outcome in (False, False, True, False, False):
        breaker.start(0)
        if outcome:
            breaker.success()
        else:
            breaker.failure(0, "server_error")
    assert breaker.state(0) == "closed"
    breaker.failure(0, "server_error")
    assert breaker.state(0) == "open"
    assert not breaker.available(4.9)


def test_half_of_many_opens_it_too() -> None:
    breaker = Breaker(SETTINGS)
    for i in range(WINDOW):
        breaker.success() if i % 2 else breaker.failure(0, "timeout")
    breaker.failure(0, "timeout")
    assert breaker.state(0) == "open"


def test_half_open_admits_one_probe_and_closes_on_its_success() -> None:
    breaker = opened()
    assert breaker.state(5) == "half-open"
    assert breaker.available(5)
    breaker.start(5)
    assert not breaker.available(5)
    breaker.success()
    assert breaker.state(5) == "closed"
    assert breaker.available(5)


def test_failed_probes_double_the_cool_down_up_to_the_limit() -> None:
    breaker, now = opened(), 0.0
    for wait in (5, 10, 20, 20):
        now += wait
        assert not breaker.available(now - 0.1)
        assert breaker.available(now)
        breaker.start(now)
        breaker.failure(now, "server_error")


def test_an_abandoned_probe_leaves_room_for_the_next() -> None:
    breaker = opened()
    breaker.start(5)
    breaker.abandon()
    assert breaker.available(5)


def test_retry_after_opens_at_once_and_a_later_longer_one_extends() -> None:
    breaker = Breaker(SETTINGS)
    breaker.failure(0, "rate_limited", retry_after_s=30)
    assert not breaker.available(29)
    breaker.failure(10, "rate_limited", retry_after_s=60)
    assert not breaker.available(69)
    breaker.failure(10, "rate_limited", retry_after_s=1)
    assert not breaker.available(69)
    assert breaker.available(70)


def test_taken_out_is_asked_again_after_minutes() -> None:
    breaker = Breaker(SETTINGS)
    breaker.take_out(0, "auth")
    assert breaker.taken_out
    assert not breaker.available(TAKEN_OUT_S - 1)
    assert breaker.available(TAKEN_OUT_S)
    breaker.start(TAKEN_OUT_S)
    breaker.success()
    assert not breaker.taken_out
