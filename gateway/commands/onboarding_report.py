"""The report at the end of `locus onboard`."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from gateway.config.portfolio import Portfolio
from gateway.core.printable import printable
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import ModelState
from gateway.onboarding.answers import AnswerStore, Round
from gateway.onboarding.jobs import Job
from gateway.onboarding.report import FEW, Report, next_step, report_of
from gateway.routing.placed_models import placed_models
from gateway.store.database import Database
from router.commands.terminal import console, table_of
from router.model.serving import Router
from router.probes.probe import load_bank


async def print_report(jobs: Sequence[Job], portfolio: Portfolio, router: Router, database: Database) -> None:
    """Prints what came of these jobs.

    Args:
        portfolio: as it is in the file.
        router: of its checkpoint and model spaces.
    """
    in_use = await ModelVersions(database).in_use()
    placed = placed_models(portfolio, router, in_use)
    names = {model.name: model.embedding for model in placed.portfolio.models}
    answers, screen = AnswerStore(database), console()
    for job in jobs:
        _print_outcome(screen, job, in_use.states.get(job.model))
        name = names.get(job.model)
        if job.state == "done" and name is not None:
            bank = await asyncio.to_thread(load_bank, job.options.bank)
            rows = await answers.of_round(Round("system:onboarding", job.model, bank.name, job.ask))
            scores = {row.probe: row.score for row in rows if row.score is not None}
            _print_found(screen, job, await asyncio.to_thread(report_of, placed.router, name, bank.probes, scores))
        _print_indented(screen, next_step(job, in_use.states.get(job.model)))


def _print_outcome(screen: Console, job: Job, state: ModelState | None) -> None:
    done = job.progress
    stands = "live" if state is None else state.state
    headline = f"[bold]{escape(job.model)}[/] is {stands}" if job.state == "done" else f"[bold]{escape(job.model)}[/]"
    spent = f"{done.graded} answers, {done.right:g} right, {done.nusd / NUSD_PER_USD:.4f} USD"
    if done.unanswered:
        spent += f", {done.unanswered} without an answer"
    screen.print(f"\n{headline}: {spent}")
    if done.unpriced_calls:
        _print_indented(screen, f"The price of {done.unpriced_calls} calls is not known; they count as free.", "yellow")
    reason = escape(printable(job.reason))
    why = f": {reason}" if reason and reason != job.state else ""
    _print_indented(screen, f"{job.state}{why}", "red" if job.state == "failed" else "")


def _print_found(screen: Console, job: Job, found: Report) -> None:
    table = table_of(["kind", "right", "P(correct)"], text=(0,))
    for row in found.kinds:
        right = f"{row.right:g} of {row.graded}" if row.graded else "-"
        table.add_row(escape(row.kind), right, f"{100 * row.p_correct:.0f}% ± {100 * row.error:.0f}")
    screen.print(Padding(table, (0, 0, 0, 2), expand=False))
    nearest = ", ".join(f"{each.model} {each.distance:.2f}" for each in found.nearest)
    _print_indented(screen, f"Most alike: {escape(nearest)}")
    if job.progress.graded < FEW:
        _print_indented(screen, f"Fewer than {FEW} answers: what it can do is known roughly.", "yellow")
    if job.progress.error is not None:
        _print_indented(screen, f"Version {job.version}; mean standard error of P(correct) {job.progress.error:.3f}")


def _print_indented(screen: Console, text: str, style: str = "") -> None:
    screen.print(Padding(text, (0, 0, 0, 2), expand=False), style=style or None)
