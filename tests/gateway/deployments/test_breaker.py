from gateway.config.settings import BreakerSettings
from gateway.deployments.breaker import TAKEN_OUT_S, WINDOW, Breaker, Refusal

SETTINGS = BreakerSettings(breaker_failures=3, cool_down=5, max_cool_down=20)


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


def words(request: bytes = b"a", reason: str = "auth") -> Refusal:
    return Refusal(reason, request, in_words=True)


def bare(request: bytes, reason: str = "refused with status 404") -> Refusal:
    return Refusal(reason, request, in_words=False)


def test_words_about_the_key_take_it_out_for_one_cool_down_and_confirmed_for_minutes() -> None:
    breaker = Breaker(SETTINGS)
    breaker.refused(0, words(), spare=True)
    assert breaker.taken_out
    assert not breaker.confirmed
    assert not breaker.available(4.9)
    breaker.start(5)
    breaker.refused(5, words(), spare=True)
    assert breaker.confirmed
    assert not breaker.available(5 + TAKEN_OUT_S - 1)
    assert breaker.available(5 + TAKEN_OUT_S)


def test_the_only_deployment_of_a_model_needs_a_second_call_that_meets_the_words() -> None:
    breaker = Breaker(SETTINGS)
    breaker.refused(0, words(), spare=False)
    assert breaker.available(0)
    breaker.refused(1, words(), spare=False)
    assert breaker.confirmed
    assert not breaker.available(1)


def test_a_success_between_two_refusals_forgets_the_first() -> None:
    for refusals in ([words(), words()], [bare(b"a"), bare(b"b")]):
        breaker = Breaker(SETTINGS)
        for refusal in refusals:
            breaker.refused(0, refusal, spare=False)
            breaker.success()
        assert not breaker.taken_out


def test_a_bare_refusal_must_be_met_by_a_second_and_different_request() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(9):
        breaker.refused(0, bare(b"a"), spare=True)
        breaker.refused(0, bare(b"b", "refused with status 403"), spare=True)  # of another kind
        assert breaker.available(0)
    breaker.refused(0, bare(b"c", "refused with status 403"), spare=True)
    assert breaker.taken_out
    assert not breaker.confirmed
    assert not breaker.available(4.9)
    assert breaker.available(5)


def test_bare_refusals_take_none_out_that_is_needed() -> None:
    breaker = Breaker(SETTINGS)
    for request in (b"a", b"b", b"c"):
        breaker.refused(0, bare(request), spare=False)
    assert breaker.available(0)


def test_probes_that_are_refused_again_double_the_time_up_to_the_limit() -> None:
    breaker, now = Breaker(SETTINGS), 0.0
    breaker.refused(0, bare(b"a"), spare=True)
    breaker.refused(0, bare(b"b"), spare=True)
    for wait in (5, 10, 20, 40, 80, 160, 300, 300):
        now += wait
        assert not breaker.available(now - 0.1)
        assert breaker.available(now)
        breaker.start(now)
        assert not breaker.available(now)
        breaker.refused(now, bare(b"b"), spare=True)


def test_a_take_out_ends_with_one_probe_that_is_answered() -> None:
    for answered in (Breaker.success, Breaker.answered):
        breaker = Breaker(SETTINGS)
        breaker.take_out(0, "auth")
        breaker.start(TAKEN_OUT_S)
        assert not breaker.available(TAKEN_OUT_S)
        answered(breaker)
        assert not breaker.taken_out
        assert breaker.available(TAKEN_OUT_S)


def test_a_fault_of_the_request_outside_of_a_probe_ends_no_take_out() -> None:
    breaker = Breaker(SETTINGS)
    breaker.take_out(0, "auth")
    breaker.answered()
    assert breaker.taken_out


def test_a_probe_that_fails_otherwise_leaves_it_cooling_down() -> None:
    breaker = Breaker(SETTINGS)
    breaker.take_out(0, "auth")
    breaker.start(TAKEN_OUT_S)
    breaker.failure(TAKEN_OUT_S, "server_error")
    assert not breaker.taken_out
    assert breaker.reason == "server_error"
    assert not breaker.available(TAKEN_OUT_S + 1)


def test_a_late_failure_does_not_shorten_a_take_out() -> None:
    breaker = Breaker(SETTINGS)
    breaker.take_out(0, "auth")
    breaker.failure(1, "server_error")
    assert breaker.taken_out
    assert breaker.reason == "auth"
    assert not breaker.available(TAKEN_OUT_S - 1)


def test_a_refusal_as_the_last_resort_lengthens_no_take_out() -> None:
    breaker = Breaker(SETTINGS)
    for request in (b"a", b"b", b"c", b"d"):
        breaker.refused(0, bare(request), spare=True)
    assert breaker.available(5)
