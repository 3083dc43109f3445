"""One deployment that is watched: what is asked next, and what follows from the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gateway.config.drift import DriftEntry
from gateway.deployments.live import LiveDeployment, LiveModel
from gateway.drift.alarm import Alarms
from gateway.drift.announced import announcements
from gateway.drift.asked import Asked
from gateway.drift.asker import Answered, CannotAsk
from gateway.drift.baseline import ASKS, CANDIDATES, choose, graded_by_probe, restored, shortlist, spread
from gateway.drift.evidence import differing, evidence
from gateway.drift.neighbors import embedded, neighbors_scores
from gateway.drift.store import DriftStore, Event, Watch, probes_of
from gateway.model_versions.model_versions import ModelVersions
from gateway.onboarding.answers import probe_digest
from router.model.serving import Router
from router.probes.probe import Probe

MOST_TRIES = ASKS + 2  # of a probe in the baseline, whose answer cannot be graded
UNSTEADY_ROUNDS = 28  # pause in rounds before a deployment whose answers are too unsteady is tried again
AGAIN_S = 600.0  # longest pause before a deployment that could not be asked is tried again

AskProbe = Callable[[LiveModel, LiveDeployment, Probe], Awaitable[Answered]]


class Course:
    """The probes of one deployment.

    Args:
        probes: those of the bank that can be graded without a model, by id.
        ask: asks one probe; raises CannotAsk.
        now: seconds since the epoch of time.
    """

    def __init__(
        self,
        model: LiveModel,
        live: LiveDeployment,
        entry: DriftEntry,
        probes: Mapping[str, Probe],
        ask: AskProbe,
        store: DriftStore,
        alarms: Alarms,
        versions: ModelVersions,
        router: Router,
        now: Callable[[], float],
    ) -> None:
        self._model, self._live, self._entry = model, live, entry
        self._probes, self._ask = probes, ask
        self._store, self._alarms, self._versions = store, alarms, versions
        self._router, self._now = router, now

    async def go_on(self, watch: Watch | None) -> None:
        """Asks what is due now, and keeps what follows.

        Raises:
            StoreUnavailable: the database cannot be used. Nothing is lost: what was asked is not asked again.
        """
        if watch is None or not self._is_valid(watch):
            watch = self._new_epoch(0 if watch is None else watch.epoch)
            await self._store.keep(watch)
        if watch.next > self._now():
            return
        answers = await self._store.answers(watch.deployment, watch.epoch)
        try:
            if watch.chosen is None:
                watch = await self._baseline(watch, answers)
            else:
                watch = await self._round(watch, answers)
        except CannotAsk as failure:
            pause_s = min(self._entry.every, AGAIN_S)
            watch = replace(watch, next=self._now() + pause_s, reason=str(failure))
        await self._store.keep(watch)

    def _is_valid(self, watch: Watch) -> bool:
        """Whether the watch is of this bank, and the bank still asks the same."""
        used: Collection[str] = [probe for probe, _ in watch.candidates] if watch.chosen is None else watch.chosen
        digests = dict(watch.candidates)
        return watch.bank == self._entry.bank and all(
            probe in self._probes and probe_digest(self._probes[probe]) == digests[probe] for probe in used
        )

    def _new_epoch(self, last: int) -> Watch:
        """A watch without a baseline. Its candidates depend on the deployment and the number of the epoch alone."""
        deployment, probes = self._live.spec.id, list(self._probes.values())
        rng = np.random.default_rng([last, *deployment.encode()])
        picked = spread([probe.kind for probe in probes], round(CANDIDATES * self._entry.probes), rng)
        candidates = tuple((probes[i].id, probe_digest(probes[i])) for i in picked)
        return Watch(deployment, self._model.name, self._entry.bank, last + 1, candidates, next=self._now())

    async def _baseline(self, watch: Watch, answers: list[Asked]) -> Watch:
        """Asks what the baseline lacks; then chooses the probes.

        Raises:
            CannotAsk: not all could be asked yet.
        """
        ids = [probe for probe, _ in watch.candidates]
        tried = {one.probe for one in answers}
        await self._ask_all(watch, 0, [probe for probe in ids if probe not in tried], answers)
        queries = {probe: self._probes[probe].query for probe in ids}
        embedding = await asyncio.to_thread(embedded, self._router, queries, answers, self._live.spec.known_as)
        if embedding is None:
            raise CannotAsk("none of its answers could be graded")
        near = await asyncio.to_thread(neighbors_scores, self._router, embedding, list(queries.values()))
        kinds = [self._probes[probe].kind for probe in ids]
        wanted = shortlist(ids, kinds, answers, near, self._entry.probes)
        while missing := _missing(wanted, answers):
            await self._ask_all(watch, 0, missing, answers)
        chosen = choose(ids, kinds, answers, near, self._entry.probes)
        if chosen is None:
            later = self._now() + UNSTEADY_ROUNDS * self._entry.every
            reason = "too few probes have the same outcome each time"
            return replace(self._new_epoch(watch.epoch), next=later, reason=reason)
        if watch.epoch > 1 and await self._has_changed():
            note = f"its answers have changed; {len(graded_by_probe(answers))} probes were asked again"
            alone = len(self._model.deployments) == 1
            await self._versions.add(
                watch.model,
                embedding,
                checkpoint=self._router.checkpoint,
                source="drift",
                note=note,
                live=True,
                deployment=None if alone else watch.deployment,
            )
        due = self._now() + self._entry.every
        return replace(watch, chosen=chosen.probes, own_rate=chosen.own_rate, next=due, reason="")

    async def _has_changed(self) -> bool:
        """Whether an alarm came before this epoch."""
        events = await self._store.events()
        return any(event.deployment == self._live.spec.id and event.kind == "changed" for event in events)

    async def _round(self, watch: Watch, answers: list[Asked]) -> Watch:
        """Asks the next probes, and tells of what has changed.

        Raises:
            CannotAsk: not all could be asked; the round goes on later.
        """
        assert watch.chosen is not None
        number, before = watch.rounds + 1, len(answers)
        tried = {one.probe for one in answers if one.round == number}
        probes = [probe for probe in probes_of(watch, number, self._entry.per_round) if probe not in tried]
        await self._ask_all(watch, number, probes, answers)
        baseline = restored(watch.chosen, watch.own_rate, answers)
        found = await asyncio.to_thread(evidence, baseline, answers)
        earlier = [one for one in answers[:before] if one.round < number]
        for words in announcements(_since(earlier), [one for one in answers if one.round == number]):
            words = f"the provider has changed something: {words}"
            await self._alarms.tell(Event(watch.model, watch.deployment, "announced", words), self._entry)
        if found >= 1 / self._entry.false_alarms:
            other, of = differing(baseline, answers, len(watch.chosen))
            words = f"it answers otherwise than before: {other} of its last {of} answers to probes have another outcome"
            await self._alarms.tell(Event(watch.model, watch.deployment, "changed", words, found), self._entry)
            await self._store.forget_epochs(watch.deployment, watch.epoch)
            return self._new_epoch(watch.epoch)
        due = self._now() + self._entry.every
        return replace(watch, rounds=number, next=due, evidence=found, reason="")

    async def _ask_all(self, watch: Watch, round: int, probes: Sequence[str], answers: list[Asked]) -> None:
        """Asks probes one after the other, and keeps each answer before the next is asked.

        Raises:
            CannotAsk: one could not be asked; the answers before it are kept.
        """
        for probe in probes:
            answered = await self._ask(self._model, self._live, self._probes[probe])
            asked = replace(answered.asked, round=round)
            await self._store.add(watch.deployment, watch.epoch, asked, answered.nusd)
            answers.append(asked)


def _missing(wanted: Sequence[str], answers: Sequence[Asked]) -> list[str]:
    """The probes of the baseline that need another answer."""
    graded = graded_by_probe(answers)
    tries = {probe: sum(one.probe == probe and one.round == 0 for one in answers) for probe in wanted}
    return [p for p in wanted if len(graded.get(p, ())) < ASKS and tries[p] < MOST_TRIES]


def _since(answers: Sequence[Asked]) -> Sequence[Asked]:
    """The answers since the last change of what the provider says of itself."""
    last = answers[-1] if answers else None
    start = len(answers)
    while start and last is not None and _says(answers[start - 1]) == _says(last):
        start -= 1
    return answers[start:]


def _says(asked: Asked) -> tuple[str | None, str | None]:
    return asked.response_model, asked.fingerprint
