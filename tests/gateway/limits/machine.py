"""A machine that does all that can happen to limits, in any order, with several processes on one store.

It keeps the truth: what was billed, and the ledger that the recorder would write. A subclass names the store.
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config.access import Budget, Grant, Limits
from gateway.core.errors import QuotaUsedUp, RateLimited
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import LEASE_S, Engine, Swept, WindowKey
from gateway.limits.exchange import SHARES, WindowRow
from gateway.limits.hold import Hold
from gateway.limits.limiter import Limiter
from gateway.limits.processes import Processes
from gateway.limits.windows import window_at

T = TypeVar("T")

DAY = 86_400.0
START = 1_800_000_000.0  # 2027-01-15, 08:00 UTC
DAILY, MONTHLY, TEAMS = 1_000, 5_000, 2_500
OVERSHOOT = 0.5
TEAM_BUDGETS = (Budget(TEAMS, "week", OVERSHOOT),)
KEYS = {
    name: Grant(
        KeyIdentity(name, name, "team"),
        scopes=(
            (("key", name), Limits((Budget(DAILY, "day", OVERSHOOT), Budget(MONTHLY, "month", OVERSHOOT)), 30, 900, 5)),
            (("team", "team"), Limits(TEAM_BUDGETS)),
        ),
    )
    for name in ("a", "b")
}
CALLS, PARALLEL = 12, 3
DEPLOYMENT = Grant(
    KeyIdentity("deployment:m/0", "m/0"), scopes=((("deployment", "m/0"), Limits((), CALLS, 400, PARALLEL)),)
)
CEILINGS = {"day": int(DAILY * 1.5), "month": int(MONTHLY * 1.5), "week": int(TEAMS * 1.5)}
EXAMPLES = int(os.environ.get("LIMITS_EXAMPLES", "10"))  # more find rarer orders
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Row:
    """A row of the ledger; `time` decides its windows. `swept`: no call, but what was booked for a lease."""

    lease: str
    key: str | None
    team: str | None
    nusd: int
    time: float
    swept: bool = False


@dataclass(eq=False)
class Running:
    """A request in progress."""

    hold: Hold
    key: str
    arrived: float
    worst: int
    expected: int
    tokens: int


@dataclass(eq=False)
class Process:
    """A gateway process, with the rows that its recorder has not written.

    Attributes:
        calls: of the deployment, in progress.
        outlived: those of them that have outlived their lease, whose places others may have.
    """

    name: str
    limiter: Limiter
    requests: list[Running] = field(default_factory=list)
    calls: list[Hold] = field(default_factory=list)
    outlived: set[Hold] = field(default_factory=set)
    waiting: list[Row] = field(default_factory=list)
    refreshed: float = 0.0


class LimitsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.time = START
        self.ledger: list[Row] = []
        self.lease_times: dict[str, tuple[str, float]] = {}
        self.processes: list[Process] = []
        self.started = 0
        self.killed: list[str] = []  # of which the others have heard
        self.thawed: dict[tuple[int, float], int] = {}
        self.called: list[float] = []  # when calls of the deployment began
        self.engine = self.run(self.open())

    # What a subclass gives

    # True if a row that is written after its lease was swept replaces what was booked then, even if the process then ends
    corrects_late_rows = False

    async def open(self) -> Engine:
        raise NotImplementedError

    async def close(self) -> None: ...

    async def write(self, rows: list[Row]) -> None:
        """Writes rows of a process to the ledger."""
        self.ledger += rows

    async def windows(self) -> dict[WindowKey, WindowRow]:
        raise NotImplementedError

    def recorded(self, lease: str) -> int:
        return sum(row.nusd for row in self.ledger if row.lease == lease and not row.swept)

    async def written(self) -> list[Row]:
        """The ledger."""
        return self.ledger

    # Its parts

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def clock(self) -> float:
        return self.time

    def swept(self, swept: list[Swept]) -> None:
        for one in swept:
            self.ledger.append(Row(one.lease, one.owner.key_id, one.owner.team, one.nusd, one.time, True))

    def process(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    def thaw(self, process: Process) -> None:
        """Notes what the requests of a process may spend that did nothing for so long that its lease has been swept.

        Others were granted what the sweep freed, and the provider bills these requests all the same: no store can prevent that.
        """
        if self.time - process.refreshed >= LEASE_S:
            worst = sum(running.worst for running in process.requests)
            self.thawed.setdefault((id(process), process.refreshed), worst)

    @initialize()
    def begin(self) -> None:
        for _ in range(2):
            self.start()

    def start(self) -> None:
        self.started += 1
        name = f"process_{self.started}"
        limiter = Limiter(
            self.engine,
            self.swept,
            clock=self.clock,
            wall=self.clock,
            processes=Processes(name, killed=lambda: self.killed),
        )
        self.processes.append(Process(name, limiter, refreshed=self.time))

    @rule(number=st.integers(0, 3), key=st.sampled_from(sorted(KEYS)), tokens=st.integers(1, 300))
    def admit(self, number: int, key: str, tokens: int) -> None:
        process = self.process(number)
        self.thaw(process)
        try:
            hold = self.run(process.limiter.admit(KEYS[key]))
        except RateLimited:
            return
        self.lease_times.setdefault(hold.lease, (key, self.time))
        process.requests.append(Running(hold, key, self.time, 0, 0, 0))
        self.reserve(number, len(process.requests) - 1, 50, 150, tokens)

    @precondition(lambda self: any(process.requests for process in self.processes))
    @rule(
        number=st.integers(0, 3),
        request=st.integers(0, 9),
        expected=st.integers(0, 300),
        more=st.integers(0, 600),
        tokens=st.integers(0, 300),
    )
    def reserve(self, number: int, request: int, expected: int, more: int, tokens: int) -> None:
        process = self.process(number)
        if not process.requests:
            return
        running = process.requests[request % len(process.requests)]
        self.thaw(process)
        try:
            self.run(running.hold.reserve(expected, expected + more, tokens))
        except (RateLimited, QuotaUsedUp):
            return
        running.expected += expected
        running.worst += expected + more
        running.tokens += tokens

    @precondition(lambda self: any(process.requests for process in self.processes))
    @rule(number=st.integers(0, 3), request=st.integers(0, 9), share=st.floats(0, 1), twice=st.booleans())
    def settle(self, number: int, request: int, share: float, twice: bool) -> None:
        process = self.process(number)
        if not process.requests:
            return
        self.thaw(process)
        running = process.requests.pop(request % len(process.requests))
        billed = int(running.worst * share)
        running.hold.settle(billed, int(running.tokens * share * 2))
        if twice:
            running.hold.settle(billed, 0)
        process.waiting.append(
            Row(running.hold.lease, running.key, "team", billed, self.lease_times[running.hold.lease][1])
        )

    @rule(number=st.integers(0, 3), tokens=st.integers(0, 150))
    def call(self, number: int, tokens: int) -> None:
        process = self.process(number)
        if self.time - process.refreshed >= LEASE_S and process.calls:
            return  # its places have been given to others while it was stopped; see `thaw`
        taken = self.run(process.limiter.take(DEPLOYMENT, tokens))
        if isinstance(taken, Hold):
            process.calls.append(taken)
            self.called.append(self.time)

    @precondition(lambda self: any(process.calls for process in self.processes))
    @rule(number=st.integers(0, 3), call=st.integers(0, 9), tokens=st.integers(0, 300))
    def end_call(self, number: int, call: int, tokens: int) -> None:
        process = self.process(number)
        if process.calls:
            process.calls.pop(call % len(process.calls)).settle(0, tokens)

    @rule(number=st.integers(0, 3))
    def refresh(self, number: int) -> None:
        process = self.process(number)
        self.thaw(process)
        if self.time - process.refreshed >= LEASE_S:
            process.outlived.update(process.calls)
        rows, process.waiting = process.waiting, []
        self.run(self.write(rows))
        for slice in process.limiter.slices():
            process.limiter.ask_soon(slice)
        self.run(process.limiter.refresh())
        process.refreshed = self.time

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 50.0, 200.0, 3_600.0, DAY]))
    def pass_time(self, seconds: float) -> None:
        self.time += seconds

    @rule(number=st.integers(0, 3), written=st.booleans(), heard=st.booleans())
    def kill(self, number: int, written: bool, heard: bool) -> None:
        """The process ends; its requests are lost, and perhaps the newest rows. Another one takes its place.

        Args:
            heard: the others know at once, and not only when its leases have ended.
        """
        process = self.process(number)
        self.processes.remove(process)
        if written and (self.corrects_late_rows or self.time - process.refreshed < LEASE_S / 2):
            self.run(self.write(process.waiting))
        if heard:
            self.killed.append(process.name)
        self.start()

    @invariant()
    def bound_holds(self) -> None:
        if not self.processes:
            return
        windows = self.run(self.windows())
        for key, row in windows.items():
            ceiling = CEILINGS[key.period] + sum(self.thawed.values())
            assert row.spent + row.worst <= ceiling, (key, row)
            assert min(row.expected, row.worst, row.leases) >= 0, (key, row)
            billed = [*self.run(self.written()), *(one for process in self.processes for one in process.waiting)]
            real = [one for one in billed if not one.swept]
            assert sum(one.nusd for one in real if self.in_window(one, key)) <= ceiling, key

    @invariant()
    def deployment_is_not_called_too_often(self) -> None:
        """A process that was stopped so long that its lease was swept keeps its calls, which no store can end, also once it goes on."""
        in_time = [process for process in self.processes if self.time - process.refreshed < LEASE_S]
        assert sum(len({*process.calls} - process.outlived) for process in in_time) <= PARALLEL
        newest = [at for at in self.called if at > self.time - 60]
        assert len(newest) <= CALLS + len(self.processes) * (CALLS // SHARES)  # and what each process had in hand

    @staticmethod
    def in_window(row: Row, key: WindowKey) -> bool:
        scope = f"team:{row.team}" if key.scope.startswith("team") else f"key:{row.key}"
        return scope == key.scope and window_at(key.period, "UTC", row.time).start == key.start

    def teardown(self) -> None:
        try:
            if self.processes:
                self.rest()
        finally:
            self.run(self.close())
            self.runner.close()

    def rest(self) -> None:
        """All requests end, and what killed processes left is swept: nothing is reserved, and all that is spent is in the ledger."""
        for number, process in enumerate(self.processes):
            while process.requests:
                self.settle(number, 0, 0.5, False)
            while process.calls:
                self.end_call(number, 0, 10)
        for number in range(len(self.processes)):
            self.refresh(number)
        self.time += 7.0
        for _ in range(4):
            for number in range(len(self.processes)):
                self.refresh(number)
            self.time += 20.0
        ledger = self.run(self.written())
        for key, row in self.run(self.windows()).items():
            assert (row.expected, row.worst) == (0, 0), (key, row)
            booked = [one for one in ledger if self.in_window(one, key)]
            assert row.spent == sum(one.nusd for one in booked), (key, row, booked)
        self.start()
        free = [self.run(self.processes[-1].limiter.take(DEPLOYMENT)) for _ in range(PARALLEL + 1)]
        assert [isinstance(taken, Hold) for taken in free] == [True] * PARALLEL + [False]  # the dead have none
