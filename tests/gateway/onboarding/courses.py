"""Jobs that onboard models of a running gateway, for tests."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.config.onboarding import OnboardEntry
from gateway.http.onboarding import onboarding_place
from gateway.onboarding.course import Course, Place
from gateway.onboarding.jobs import Job
from router.probes.probe import Probe, save_bank
from tests.gateway.onboarding.skilled_provider import numbers_bank
from tests.gateway.running import Gateway, entry

KINDS = {"mathematics": 24, "shop": 24, "code": 24}


def bank_file(folder: Path, probes: Sequence[Probe] | None = None) -> tuple[Path, list[Probe]]:
    """A bank of a user's own."""
    file, probes = folder / "own-bank.jsonl", list(probes or numbers_bank(KINDS))
    save_bank(file, probes)
    return file, probes


def unknown(name: str, *urls: str, **more: Any) -> dict[str, Any]:
    """A model that the space does not know."""
    model = entry(name, *urls, **more)
    return {key: value for key, value in model.items() if key != "embedding"}


def place_of(run: Gateway, **changes: Any) -> Place:
    """What onboarding needs of a running gateway."""
    place = onboarding_place(run.service)
    assert place is not None
    return replace(place, **changes)


async def onboarded(place: Place, options: OnboardEntry, *models: str, again: bool = False) -> list[Job]:
    """The jobs of these models, which have ended."""
    jobs = await place.jobs.submit(dict.fromkeys(models, options), "command", again=again, owner=place.owner)
    await Course(place, jobs).run()
    return await place.jobs.all(models)
