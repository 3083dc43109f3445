"""Limiters of several processes on one store in memory, with a clock that the test moves."""

import asyncio
import contextlib

import pytest

from gateway.config.access import Budget, Grant, Limits, NearLimit
from gateway.core.errors import QuotaUsedUp, RateLimited, StoreUnavailable
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import LEASE_S, Answer, Ask, LimitsAway, Swept
from gateway.limits.guard import GuardedEngine
from gateway.limits.limiter import TICK_S, Limiter
from gateway.limits.memory import MemoryEngine
from gateway.limits.processes import Processes
from gateway.limits.standing import counted_standings
from tests.gateway.limits.counting import Counting
from tests.gateway.live import Time

pytestmark = pytest.mark.anyio
USD = 10**9
START = 1_800_000_000.0


def grant(*budgets: Budget, key: str = "k", team: Limits | None = None, **limits: int) -> Grant:
    scopes = [(("key", key), Limits(budgets, **limits))]
    return Grant(KeyIdentity(key, key, "t"), scopes=(*scopes, *([(("team", "t"), team)] if team else [])))


def limiter(engine: MemoryEngine, clock: Time) -> Limiter:
    return Limiter(engine, clock=clock, wall=clock)


async def test_of_200_requests_at_once_exactly_those_are_admitted_that_the_budget_pays() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    processes = [limiter(engine, clock) for _ in range(2)]
    one_usd = grant(Budget(USD, "day", overshoot=0.0))
    admitted = 0

    async def request(number: int) -> None:
        nonlocal admitted
        hold = await processes[number % 2].admit(one_usd)
        try:
            await hold.reserve(USD // 20, USD // 20, 0)
        except RateLimited:
            hold.settle(0, 0)
            return
        admitted += 1

    await asyncio.gather(*map(request, range(200)))
    assert admitted == 20


@pytest.mark.parametrize(("overshoot", "share"), [(1.0, 0.9), (0.52, 0.9), (0.1, 0.46)])
async def test_16_agents_with_long_answers_are_not_refused_before_this_share_of_the_budget_is_spent(
    overshoot: float, share: float
) -> None:
    """25 USD, 64,000 tokens at 15 USD per million: the highest cost of 16 requests is 15 USD, their usual one 0.5 USD."""
    clock = Time(START)
    engine = MemoryEngine(clock)
    process = limiter(engine, clock)
    agents = grant(Budget(25 * USD, "month", overshoot=overshoot))
    worst, usual = 64_000 * 15_000, 2_000 * 15_000
    spent = 0
    while True:
        holds = [await process.admit(agents) for _ in range(16)]
        try:
            for hold in holds:
                await hold.reserve(usual, worst, 0)
        except (RateLimited, QuotaUsedUp) as refused:
            first = refused
            break
        for hold in holds:
            hold.settle(usual, 0)
            spent += usual
        clock.now += 1
        await process.refresh()
    assert share * 25 * USD < spent <= 25 * USD
    assert isinstance(first, RateLimited)  # another try succeeds as soon as one of the others is over


async def test_two_processes_admit_the_limit_of_a_minute_and_at_most_one_slice_more() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    processes = [limiter(engine, clock) for _ in range(2)]
    sixty = grant(rpm=60)
    admitted: list[float] = []
    for step in range(1_500):  # 150 s, ten tries a second
        process = processes[step % 2]
        try:
            (await process.admit(sixty)).settle(0, 0)
            admitted.append(clock.now)
        except RateLimited:
            pass
        clock.now += 0.1
        if step % 10 == 9:
            for each in processes:
                await each.refresh()
    slice_of_one = 60 // 4
    most = max(sum(begin <= at < begin + 60 for at in admitted) for begin in admitted)
    assert most <= 60 + slice_of_one
    assert len(admitted) >= 2 * 50


async def test_an_idle_process_gives_back_what_it_holds() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    process = limiter(engine, clock)
    for _ in range(10):
        hold = await process.admit(grant(Budget(USD, "day"), rpm=60))
        await hold.reserve(10_000_000, 20_000_000, 0)
        hold.settle(5_000_000, 0)
    await process.refresh()
    (window,) = engine.rows.windows.values()
    assert window.spent == 50_000_000
    for _ in range(3):
        clock.now += 6
        await process.refresh()
    assert (window.expected, window.worst) == (0, 0)


async def test_a_slice_suffices_for_most_requests() -> None:
    clock = Time(START)
    engine = Counting(clock)
    process = limiter(engine, clock)
    wide = grant(Budget(1_000 * USD, "day"), rpm=100_000, tpm=10**9, team=Limits((Budget(5_000 * USD, "month"),)))
    for number in range(2_000):
        hold = await process.admit(wide)
        await hold.reserve(1_000_000, 5_000_000, 500)
        hold.settle(800_000, 400)
        if number % 100 == 99:
            clock.now += 1
            await process.refresh()
    assert engine.asks < 200


async def test_a_request_is_settled_once() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    process = limiter(engine, clock)
    hold = await process.admit(grant(Budget(USD, "day"), max_parallel_requests=1))
    await hold.reserve(10, 20, 0)
    hold.settle(15, 0)
    hold.settle(15, 0)
    await process.refresh()
    (window,) = engine.rows.windows.values()
    assert window.spent == 15
    assert process.settled_twice == 1
    (await process.admit(grant(Budget(USD, "day"), max_parallel_requests=1))).settle(0, 0)


async def test_a_request_settles_in_the_window_in_which_it_arrived() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    process = limiter(engine, clock)
    daily = grant(Budget(USD, "day", overshoot=0.0))
    before = await process.admit(daily)
    await before.reserve(USD, USD, 0)
    clock.now += 86_400
    after = await process.admit(daily)
    await after.reserve(USD, USD, 0)  # the new day's budget is whole
    before.settle(USD, 0)
    after.settle(USD // 2, 0)
    await process.refresh()
    assert {key.start: row.spent for key, row in engine.rows.windows.items()} == {
        1_799_971_200: USD,
        1_800_057_600: USD // 2,
    }


async def test_a_clock_that_goes_back_does_not_open_the_budget_of_yesterday_again() -> None:
    clock, wall = Time(1_000.0), Time(START)
    engine = MemoryEngine(wall)
    process = Limiter(engine, clock=clock, wall=wall)
    daily = grant(Budget(USD, "day", overshoot=0.0))
    hold = await process.admit(daily)
    await hold.reserve(USD, USD, 0)
    hold.settle(USD, 0)
    wall.now -= 86_400
    await process.refresh()
    with pytest.raises(QuotaUsedUp):
        await (await process.admit(daily)).reserve(1, 1, 0)


async def test_a_budget_that_changes_applies_at_once_and_keeps_what_was_spent() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    process = limiter(engine, clock)
    hold = await process.admit(grant(Budget(USD, "day", overshoot=0.0)))
    await hold.reserve(USD // 2, USD // 2, 0)
    hold.settle(USD // 2, 0)
    await process.refresh()
    smaller = await process.admit(grant(Budget(USD // 4, "day", overshoot=0.0)))
    with pytest.raises(QuotaUsedUp):
        await smaller.reserve(1, 1, 0)
    larger = await process.admit(grant(Budget(2 * USD, "day", overshoot=0.0)))
    await larger.reserve(USD, USD, 0)


async def test_what_a_killed_process_reserved_is_booked_as_an_estimate() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    killed = limiter(engine, clock)
    hold = await killed.admit(grant(Budget(USD, "day"), max_parallel_requests=1))
    await hold.reserve(300, 900, 0)
    booked: list[Swept] = []
    other = Limiter(engine, booked.extend, clock=clock, wall=clock)
    with pytest.raises(RateLimited):  # the place is taken until the lease ends
        await other.admit(grant(Budget(USD, "day"), max_parallel_requests=1))
    clock.now += 100
    await other.refresh()
    assert [(one.owner.key_id, one.nusd) for one in booked] == [("k", 300)]
    (await other.admit(grant(Budget(USD, "day"), max_parallel_requests=1))).settle(0, 0)
    (window,) = engine.rows.windows.values()
    assert (window.spent, window.worst) == (300, 0)


async def test_tokens_that_were_not_expected_are_owed() -> None:
    clock = Time(START)
    process = limiter(MemoryEngine(clock), clock)
    hold = await process.admit(grant(tpm=1_000))
    await hold.reserve(0, 0, 100)
    hold.settle(0, 1_500)
    await process.refresh()
    with pytest.raises(RateLimited) as refused:
        await (await process.admit(grant(tpm=1_000))).reserve(0, 0, 10)
    assert int(refused.value.headers["retry-after"]) in range(59, 63)
    clock.now += 62
    await (await process.admit(grant(tpm=1_000))).reserve(0, 0, 10)


async def test_the_tightest_of_the_limits_of_key_and_team_is_shown() -> None:
    clock = Time(START)
    process = limiter(MemoryEngine(clock), clock)
    both = grant(Budget(100, "day"), rpm=60, team=Limits((Budget(1_000, "week"),), rpm=10))
    hold = await process.admit(both)
    await hold.reserve(50, 50, 0)
    hold.settle(80, 0)
    standing = counted_standings(process.standing(both))["requests"]
    assert (standing.limit, standing.remaining) == (10, 9)


async def test_leaving_gives_back_all() -> None:
    clock = Time(START)
    engine = MemoryEngine(clock)
    async with limiter(engine, clock) as process:
        hold = await process.admit(grant(Budget(USD, "day"), max_parallel_requests=2))
        await hold.reserve(300, 900, 0)
        hold.settle(200, 0)
    assert not engine.rows.leases
    (window,) = engine.rows.windows.values()
    assert (window.spent, window.expected, window.worst, window.leases) == (200, 0, 0, 0)


async def test_a_lost_answer_of_the_store_strands_nothing_for_long() -> None:
    class Losing(MemoryEngine):
        lose = False

        async def exchange(self, asks: list[Ask]) -> list[Answer]:  # type: ignore[override]
            answers = await super().exchange(asks)
            if self.lose:
                raise LimitsAway("the answer was lost")
            return answers

    clock = Time(START)
    engine = Losing(clock)
    process = limiter(engine, clock)
    limited = grant(Budget(1_000, "day", overshoot=0.0))
    hold = await process.admit(limited)
    await hold.reserve(400, 400, 0)
    engine.lose = True
    with pytest.raises(StoreUnavailable):
        await (await process.admit(limited)).reserve(700, 700, 0)
    engine.lose = False
    await (await process.admit(limited)).reserve(600, 600, 0)
    await process.refresh()
    (window,) = engine.rows.windows.values()
    assert window.worst == 1_000


async def test_a_budget_near_its_limit_warns_once_and_makes_policies_save() -> None:
    clock, warned = Time(START), []
    process = Limiter(MemoryEngine(clock), warned=lambda *budget: warned.append(budget), clock=clock, wall=clock)
    near = Limits((Budget(1_000, "day", warn=0.5),), near_limit=NearLimit(0.8, 4.0))
    key = Grant(KeyIdentity("k", "ci", "t"), scopes=((("key", "k"), near),))
    for spent, factor in ((400, 1.0), (300, 1.0), (200, 4.0), (50, 4.0)):
        hold = await process.admit(key)
        await hold.reserve(spent, spent, 0)
        hold.settle(spent, 0)
        await process.refresh()
        assert process.cost_factor(key) == factor
    assert warned == [("key", "ci", "day")]
    (state,) = process.budgets.states()
    assert (state.kind, state.name, state.spent, state.term.limit) == ("key", "ci", 950, 1_000)
    clock.now += 86_400
    assert process.cost_factor(key) == 1.0


class Flaky(MemoryEngine):
    """Does not answer while `away`."""

    away = False

    async def exchange(self, asks: list[Ask]) -> list[Answer]:  # type: ignore[override]
        if self.away:
            raise LimitsAway("refused")
        return await super().exchange(asks)


async def test_while_the_store_is_away_each_process_admits_its_share_of_what_was_left() -> None:
    clock = Time(START)
    engine = Flaky(clock)
    processes = [limiter(engine, clock) for _ in range(2)]
    limited = grant(Budget(1_000, "day", overshoot=0.0), rpm=60)
    for process in processes:
        hold = await process.admit(limited)
        await hold.reserve(100, 100, 0)
        hold.settle(100, 0)
    for _ in range(2):
        for process in processes:
            await process.refresh()
    engine.away = True
    admitted = 0

    async def spend_all(process: Limiter) -> None:
        nonlocal admitted
        while True:
            hold = await process.admit(limited)
            await hold.reserve(50, 50, 0)
            hold.settle(50, 0)
            admitted += 1
            with contextlib.suppress(LimitsAway):
                await process.refresh()

    for process in processes:
        with pytest.raises(StoreUnavailable):
            await spend_all(process)
    assert 14 <= admitted <= 16  # of the 800 that were left
    engine.away = False
    for process in processes:
        await process.refresh()
    (window,) = engine.rows.windows.values()
    assert window.spent == 200 + 50 * admitted


async def test_no_minute_has_more_than_the_limit_while_the_store_is_away_and_when_it_is_back() -> None:
    clock = Time(START)
    engine = Flaky(clock)
    processes = [Limiter(engine, clock=clock, wall=clock, processes=Processes(number=lambda: 3)) for _ in range(3)]
    limited, admitted = grant(rpm=60), list[float]()

    async def admit_all(process: Limiter, most: int = 1000) -> None:
        with contextlib.suppress(RateLimited, StoreUnavailable):
            for _ in range(most):
                (await process.admit(limited)).settle(0, 0)
                admitted.append(clock.now)

    await admit_all(processes[0], 10)
    await admit_all(processes[1], 20)  # the third one has not asked yet
    for second in range(200):
        clock.now += 1
        engine.away = 5 <= second < 10 or 90 <= second < 170
        for process in processes:
            await admit_all(process)
            with contextlib.suppress(LimitsAway):
                await process.refresh()
    most = max(sum(at <= other < at + 60 for other in admitted) for at in admitted)
    assert most <= 60 + 15
    assert sum(START + 91 <= at <= START + 170 for at in admitted) >= 45  # it admits something, too


async def test_a_store_that_is_away_refuses_all_that_the_slices_do_not_have_if_told_so() -> None:
    clock = Time(START)
    engine = Flaky(clock)
    process = Limiter(engine, clock=clock, wall=clock, local_if_away=False)
    limited = grant(rpm=60)
    (await process.admit(limited)).settle(0, 0)
    engine.away = True
    with pytest.raises(StoreUnavailable):
        await process.admit(limited)


async def test_a_guard_does_not_ask_a_silent_store_with_every_request(caplog: pytest.LogCaptureFixture) -> None:
    clock, asked = Time(START), 0

    class Silent(MemoryEngine):
        silent = True

        async def exchange(self, asks: list[Ask]) -> list[Answer]:  # type: ignore[override]
            nonlocal asked
            asked += 1
            await asyncio.sleep(10 if self.silent else 0)
            return await super().exchange(asks)

    engine = Silent(clock)
    guard = GuardedEngine(engine, "Valkey", 0.02, clock)
    for _ in range(50):
        with pytest.raises(LimitsAway):
            await guard.exchange([])
    assert asked == 1
    engine.silent = False
    clock.now += 1.1
    await guard.exchange([])
    assert [record.message for record in caplog.records] == [
        "limits: Valkey does not answer (timeout)",
        "limits: Valkey answers again",
    ]


async def test_a_busy_process_that_knows_of_a_killed_one_sweeps_the_store_once_a_tick() -> None:
    clock = Time(START)
    engine, killed = Counting(clock), list[str]()
    process = Limiter(engine, clock=clock, wall=clock, processes=Processes(killed=lambda: killed))
    sweeps = []
    for passed, found in ((0.0, []), (TICK_S, []), (0.0, ["gone"]), (TICK_S, []), (LEASE_S, [])):
        clock.now += passed
        killed[:] = found
        for _ in range(10):
            await process.refresh()
        sweeps.append(engine.sweeps)
    assert sweeps == [1, 1, 2, 2, 3]
