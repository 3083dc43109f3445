"""How the probes of a model's deployments went, round by round, for its page."""

from dataclasses import dataclass

from gateway.drift.baseline import restored
from gateway.drift.evidence import by_round
from gateway.drift.store import DriftStore, Event, Watch
from gateway.store.database import Database

MOST_ROUNDS = 40  # that the chart shows


@dataclass(frozen=True, slots=True)
class DriftCourse:
    """One deployment that is watched.

    Attributes:
        rounds: number, answers with another outcome than in the baseline, graded answers; the oldest first.
    """

    watch: Watch
    rounds: tuple[tuple[int, int, int], ...]


async def drift_of(database: Database, model: str) -> tuple[list[DriftCourse], list[Event]]:
    """The deployments of a model that are watched, and its newest events.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    store = DriftStore(database)
    courses = []
    for watch in (await store.watches(model)).values():
        rounds: list[tuple[int, int, int]] = []
        if watch.chosen is not None and watch.rounds:
            answers = await store.answers(watch.deployment, watch.epoch, watch.rounds - MOST_ROUNDS + 1)
            rounds = by_round(restored(watch.chosen, watch.own_rate, answers), answers)
        courses.append(DriftCourse(watch, tuple(rounds)))
    return courses, [event for event in await store.events() if event.model == model]
