"""A deployment from its baseline to the alarm, with a real database; its answers come from tables of skills."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.drift import DriftEntry
from gateway.deployments.live import LiveDeployment, LiveDeployments, LiveModel
from gateway.drift.alarm import Alarms
from gateway.drift.asked import Asked, digest
from gateway.drift.asker import Answered, CannotAsk
from gateway.drift.course import Course
from gateway.drift.store import DriftStore, Watch, probes_of
from gateway.model_versions.model_versions import ModelVersions
from gateway.store.database import Database
from router.probes.checker_spec import checker_spec
from router.probes.probe import Probe
from tests.gateway.live import Time, model, portfolio
from tests.gateway.running import shipped_router
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio

ENTRY = DriftEntry(probes=16, per_round=8, every=3600.0)


def bank(size: int = 96) -> dict[str, Probe]:
    made = {}
    for i in range(size):
        query = f"What is {i} times {i % 7 + 3}? Answer with a number."
        made[f"p{i}"] = Probe(f"p{i}", query, f"kind {i % 4}", checker_spec({"type": "number"}), i * (i % 7 + 3))
    return made


@dataclass
class World:
    """One deployment whose provider answers by a model's name: each name is right on its own half of the probes."""

    location: DatabaseLocation
    folder: Path
    served: str = "first"
    fingerprint: str = "fp-1"
    down: bool = False
    asked: int = 0
    sent: list[dict[str, object]] = field(default_factory=list)
    clock: Time = field(default_factory=Time)

    def __post_init__(self) -> None:
        self.database = Database(self.location)
        self.store = DriftStore(self.database, self.clock)
        self.versions = ModelVersions(self.database, self.clock)
        self.counted: list[tuple[str, str, str]] = []
        self.alarms = Alarms(self.store, self.versions, self._send, lambda *labels: self.counted.append(labels))
        deployments = LiveDeployments(portfolio(self.folder, model("chat")), None, self.clock)
        self.model = deployments.models["chat"]
        (self.live,) = self.model.deployments

    async def _send(self, url: str, event: dict[str, object]) -> None:
        self.sent.append({"url": url, **event})

    async def ask(self, model: LiveModel, live: LiveDeployment, probe: Probe) -> Answered:
        if self.down:
            raise CannotAsk("could not ask: connect: refused")
        self.asked += 1
        luck = hashlib.sha256(f"{self.served} {probe.id}".encode()).digest()[0]
        text = str(probe.reference) if luck < 128 else f"wrong by {self.served}"
        score = float(text == str(probe.reference))
        return Answered(Asked(0, probe.id, score, digest(text), 20, "m-1", self.fingerprint), 1_000)

    def course(self, entry: DriftEntry = ENTRY, ask: Callable[..., Awaitable[Answered]] | None = None) -> Course:
        parts = (self.store, self.alarms, self.versions, shipped_router(), self.clock)
        return Course(self.model, self.live, entry, bank(), ask or self.ask, *parts)

    async def watch(self) -> Watch | None:
        return (await self.store.watches()).get(self.live.spec.id)

    async def go_on(self, rounds: int = 1, entry: DriftEntry = ENTRY) -> Watch:
        """Goes on, an hour each time."""
        for _ in range(rounds):
            await self.course(entry).go_on(await self.watch())
            self.clock.now += 3600
        watch = await self.watch()
        assert watch is not None
        return watch


@pytest.fixture
async def world(location: DatabaseLocation, tmp_path: Path) -> AsyncIterator[World]:
    made = World(location, tmp_path)
    yield made
    await made.database.close()


async def test_a_baseline_then_rounds_without_an_alarm(world: World) -> None:
    watch = await world.go_on()
    assert watch.chosen is not None
    assert len(watch.chosen) == 16
    assert watch.own_rate == 0
    assert world.asked == 32 + 24 * 3  # the candidates once, three quarters of them three times more
    watch = await world.go_on(rounds=6)
    assert (watch.rounds, watch.epoch, watch.reason) == (6, 1, "")
    assert watch.evidence < 1
    assert world.asked == 104 + 6 * 8
    assert await world.store.events() == []
    assert await world.store.spent_nusd(1e9) == world.asked * 1_000


async def test_a_swapped_model_is_told_suspected_and_embedded_again(world: World) -> None:
    entry = DriftEntry.model_validate(ENTRY.model_dump() | {"webhook": "https://hooks.example/T1"})
    await world.go_on(rounds=3, entry=entry)
    before, world.served = world.asked, "second"
    while not world.sent:
        await world.go_on(entry=entry)
        assert world.asked - before <= 16
    (event,) = await world.store.events()
    assert (event.kind, event.model, event.deployment) == ("changed", "chat", world.live.spec.id)
    assert event.evidence is not None
    assert event.evidence >= 1_000
    assert "have another outcome" in event.words
    assert world.sent == [{"url": "https://hooks.example/T1", "object": "drift.event", **event.fields()}]
    assert world.counted == [("chat", world.live.spec.id, "changed")]
    state = (await world.versions.states_of_deployments())["chat", world.live.spec.id]
    assert (state.state, state.reason) == ("suspect", event.words)
    watch = await world.go_on(entry=entry)
    assert (watch.epoch, watch.rounds) == (2, 0)
    assert watch.chosen is not None
    version = (await world.versions.live())["chat"]  # it has no other deployment
    assert (version.source, version.evaluations) == ("drift", 32)
    await world.go_on(rounds=8, entry=entry)  # what it is now, it stays
    assert len(await world.store.events()) == 1


@pytest.mark.parametrize(("then", "state"), [("quarantine", "quarantined"), ("tell", None)])
async def test_what_an_alarm_does_is_said_in_the_file(world: World, then: str, state: str | None) -> None:
    entry = DriftEntry.model_validate(ENTRY.model_dump() | {"then": then})
    await world.go_on(entry=entry)
    world.served = "second"
    await world.go_on(rounds=3, entry=entry)
    assert [event.kind for event in await world.store.events()] == ["changed"]
    states = await world.versions.states_of_deployments()
    assert [found.state for found in states.values()] == ([] if state is None else [state])


async def test_a_provider_that_is_down_is_no_changed_model(world: World) -> None:
    watch = await world.go_on(rounds=2)
    evidence, world.down = watch.evidence, True
    watch = await world.go_on(rounds=24)
    assert watch.reason == "could not ask: connect: refused"
    assert (watch.rounds, watch.evidence) == (1, evidence)
    world.down = False
    watch = await world.go_on()
    assert (watch.rounds, watch.reason) == (2, "")
    assert await world.store.events() == []


async def test_nothing_is_asked_twice_after_an_interruption(world: World) -> None:
    async def ask(model: LiveModel, live: LiveDeployment, probe: Probe) -> Answered:
        if world.asked % 10 == 9:
            world.asked += 1
            raise CannotAsk("could not ask: interrupted")
        return await world.ask(model, live, probe)

    turns = 0
    while (watch := await world.watch()) is None or watch.rounds < 2:
        await world.course(ask=ask).go_on(watch)
        world.clock.now += 3600
        turns += 1
        assert turns < 40
    answers = await world.store.answers(world.live.spec.id, 1)
    assert len(answers) == 104 + 2 * 8
    assert sorted(one.probe for one in answers if one.round == 1) == sorted(probes_of(watch, 1, 8))


async def test_another_fingerprint_is_told_at_once_and_changes_nothing(world: World) -> None:
    await world.go_on(rounds=2)
    world.fingerprint = "fp-2"
    watch = await world.go_on(rounds=3)
    (event,) = await world.store.events()
    assert event.kind == "announced"
    assert "'fp-1' and is 'fp-2'" in event.words
    assert watch.evidence < 1
    assert await world.versions.states_of_deployments() == {}
    assert world.sent == []


async def test_a_changed_bank_begins_a_new_baseline(world: World) -> None:
    await world.go_on(rounds=2)
    other = DriftEntry.model_validate(ENTRY.model_dump() | {"bank": "other.jsonl"})
    watch = await world.go_on(entry=other)
    assert (watch.epoch, watch.bank, watch.rounds) == (2, "other.jsonl", 0)
    assert await world.versions.live() == {}


async def test_answers_that_change_by_themselves_are_not_watched_and_tried_again_later(world: World) -> None:
    async def ask(model: LiveModel, live: LiveDeployment, probe: Probe) -> Answered:
        answered = await world.ask(model, live, probe)
        score = float(hashlib.sha256(str(world.asked).encode()).digest()[0] % 2)
        return Answered(Asked(0, probe.id, score, digest(str(score))), answered.nusd)

    await world.course(ask=ask).go_on(None)
    watch = await world.watch()
    assert watch is not None
    assert (watch.chosen, watch.epoch) == (None, 2)
    assert watch.reason == "too few probes have the same outcome each time"
    asked = world.asked
    assert (await world.go_on(rounds=27)).epoch == 2
    assert world.asked == asked
    assert (await world.go_on(rounds=2)).chosen is not None
