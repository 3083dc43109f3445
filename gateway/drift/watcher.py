"""Watches all deployments of the portfolio: asks their probes on a schedule, in one process of all that share the database."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from gateway.config.drift import DriftEntry
from gateway.config.portfolio import Portfolio
from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployments
from gateway.drift.alarm import STATES, Alarms
from gateway.drift.asker import Asker
from gateway.drift.course import Course
from gateway.drift.store import DriftStore
from gateway.model_versions.model_versions import ModelVersions
from gateway.onboarding.budget import Budget
from gateway.onboarding.probe_calls import ProbeCalls
from router.errors import RouterError
from router.model.serving import Router
from router.probes.probe import Probe, load_bank

log = logging.getLogger("locus.drift")

DAY_S = 86_400.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 30.0  # between two looks at what is due
DOUBTED = frozenset(STATES.values())
AT_ONCE = 4  # deployments that are asked at once


class DriftWatcher:
    """Watches deployments. Use as an async context manager.

    Args:
        portfolio, deployments, router: those in force.
        leads: False while another process watches.
        report: told of each deployment, by model and id, whether it is suspect or quarantined.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        store: DriftStore,
        versions: ModelVersions,
        calls: ProbeCalls,
        alarms: Alarms,
        portfolio: Callable[[], Portfolio],
        deployments: Callable[[], LiveDeployments],
        router: Callable[[], Router],
        leads: Callable[[], bool],
        report: Callable[[str, str, bool], None],
        now: Clock = time.time,
    ) -> None:
        self._store, self._versions, self._calls, self._alarms = store, versions, calls, alarms
        self._portfolio, self._deployments, self._router = portfolio, deployments, router
        self._leads, self._report, self._now = leads, report, now
        self._task: asyncio.Task[None] | None = None
        self._bank: tuple[str, dict[str, Probe]] = ("", {})
        self._failed: str | None = None
        self._thinking: set[str] = set()

    async def __aenter__(self) -> "DriftWatcher":
        self._task = asyncio.create_task(self._run(), name="drift")
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            entry = self._portfolio().drift
            if entry is not None and self._leads():
                await self._turn_safely(entry)
            pause_s = LONGEST_PAUSE_S if entry is None else entry.every / 20
            await asyncio.sleep(min(max(pause_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))

    async def _turn_safely(self, entry: DriftEntry) -> None:
        """One turn; its failure is told once, and the next turn tries again."""
        try:
            await self.turn(entry)
        except (StoreUnavailable, RouterError) as exc:
            if str(exc) != self._failed:
                log.warning("deployments are not watched for drift now: %s", exc)
            self._failed = str(exc)
        except Exception as exc:
            log_exception(log, "watching deployments for drift failed", exc)
        else:
            self._failed = None

    async def turn(self, entry: DriftEntry) -> None:
        """Asks all that is due now.

        Raises:
            StoreUnavailable: the database cannot be used.
            DataError: the bank cannot be read.
        """
        probes = await self._load(entry)
        watches = await self._store.watches()
        budget = Budget(entry.usd_per_day, await self._store.spent_nusd(DAY_S))
        ask = Asker(self._calls, budget, "`drift.usd_per_day`", self._thinking).ask
        places = asyncio.Semaphore(AT_ONCE)

        async def go_on(course: Course, deployment: str) -> None:
            async with places:
                await course.go_on(watches.get(deployment))

        shared = (self._store, self._alarms, self._versions, self._router(), self._now)
        states = await self._versions.states_of_deployments()
        async with asyncio.TaskGroup() as group:
            for model in self._deployments().models.values():
                for live in model.deployments:
                    state = states.get((model.name, live.spec.id))
                    self._report(model.name, live.spec.id, state is not None and state.state in DOUBTED)
                    if live.spec.missing_key is None:
                        course = Course(model, live, entry, probes, ask, *shared)
                        group.create_task(go_on(course, live.spec.id))

    async def _load(self, entry: DriftEntry) -> Mapping[str, Probe]:
        """The probes of the bank that are graded without a model."""
        name, probes = self._bank
        if name != entry.bank:
            bank = await asyncio.to_thread(load_bank, entry.bank)
            probes = {probe.id: probe for probe in bank.probes if probe.checker.type != "judge"}
            self._bank = entry.bank, probes
        return probes
