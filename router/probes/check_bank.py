"""Checks a bank: every line, unique ids, and that each reference is right by its own checker."""

from pathlib import Path

from router.errors import DataError
from router.probes.checkers.grade import grade
from router.probes.probe import Probe, read_probes
from router.probes.validity import right_answer


def problems(path: Path) -> tuple[int, list[str]]:
    """(number of lines with a probe, what is wrong with them), each with file, line and field.

    Raises:
        DataError: the file is unreadable, has no probes, or is broken from some line on.
    """
    places: dict[str, str] = {}
    found: list[str] = []
    count = 0
    for location, probe in read_probes(path):
        count += 1
        if isinstance(probe, DataError):
            found.append(str(probe))
            continue
        if probe.id in places:
            found.append(f"{location}: id: {probe.id!r} is also the id at {places[probe.id]}")
        places.setdefault(probe.id, location)
        reason = _wrong(probe)
        if reason:
            found.append(f"{location}: reference: {reason}")
    if not count:
        raise DataError(f"{path}: no probes")
    return count, found


def _wrong(probe: Probe) -> str:
    """Why the reference is not right by its own checker; empty if it is, or if there is none."""
    answer = right_answer(probe.checker, probe.reference)
    if answer is None:
        return ""
    try:
        graded = grade(probe, answer)
    except ValueError as exc:
        return str(exc)
    if graded.score == 1.0:
        return ""
    return graded.reason or f"{probe.reference!r} is wrong by the checker {probe.checker.type} itself"
