"""What the newest advice on the portfolio says of single models, for the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from gateway.console.replay_view import change_view
from gateway.core.json_types import JsonObject
from gateway.replay.jobs import ReplayJobs
from router.model.space import ModelSpace


@dataclass(frozen=True, slots=True)
class LastAdvice:
    """The newest advice that was asked for and had enough requests.

    Attributes:
        id: of its job.
        day: when it was given, such as 2026-11-30.
        added: by the name in the space of the model to add: what it says of the best such change.
        removed: by the name in the portfolio: what it says of leaving the model out.
    """

    id: str
    day: str
    added: Mapping[str, str]
    removed: Mapping[str, str]


async def last_advice(jobs: ReplayJobs, space: ModelSpace) -> LastAdvice | None:
    """Reads it; None if there is none.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    for job in await jobs.all():
        if job.options.get("kind") != "advice" or job.state != "done":
            continue
        found = await jobs.of(job.id)
        if found is None or found[1] is None:
            continue
        advice = orjson.loads(found[1])["advice"]
        if not advice["enough"]:
            continue
        day = datetime.fromtimestamp(job.ended or job.created, UTC).date().isoformat()
        removed = {one["remove"]: change_view(one).gains for one in advice["removals"]}
        return LastAdvice(job.id, day, _additions(advice["advice"], space), removed)
    return None


def _additions(changes: Sequence[JsonObject], space: ModelSpace) -> dict[str, str]:
    """The best change for each model that is added; advice names models as LiteLLM does."""
    words: dict[str, str] = {}
    for change in changes:
        families = space.families.find(change["add"]) if change["add"] is not None else []
        if len(families) == 1:
            place = "" if change["remove"] is None else f" in place of {change['remove']}"
            words.setdefault(families[0].variant(families[0].setting), f"{change_view(change).gains}{place}")
    return words
