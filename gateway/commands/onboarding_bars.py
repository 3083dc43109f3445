"""Progress bars of `locus onboard`: one line for each model."""

from collections.abc import Iterable, Mapping
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from gateway.config.onboarding import OnboardEntry
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.onboarding.jobs import Job
from router.commands.terminal import console

WIDE = 100  # columns; on a narrower terminal the bars are shorter


class Bars:
    """Use as a context manager; writes to standard error.

    Args:
        wanted: the options of each model.
    """

    def __init__(self, wanted: Mapping[str, OnboardEntry]) -> None:
        screen = console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(24 if screen.width >= WIDE else 8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self._progress = Progress(*columns, console=screen)
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task(name, total=options.probes, note="") for name, options in wanted.items()
        }

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, jobs: Iterable[Job]) -> None:
        """Shows how far these jobs are."""
        for job in jobs:
            self._progress.update(self._tasks[job.model], completed=job.progress.asked, note=note_of(job))


def note_of(job: Job) -> str:
    """`18.0 right, 0.0132 USD, ±0.081`."""
    done = job.progress
    parts = [f"{done.right:g} right", f"{done.nusd / NUSD_PER_USD:.4f} USD"]
    if done.error is not None:
        parts.append(f"±{done.error:.3f}")
    return ", ".join(parts)
