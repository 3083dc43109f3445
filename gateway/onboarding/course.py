"""Onboards models: a spread start of probes, then those that tell most, until enough is known; then a version of each embedding.

Models of one job are asked side by side. If no known model was evaluated on their bank, their answers place them together, with the
answers that other models of the portfolio gave before.

States: declared -> probing -> shadow, in which `auto` does not choose the model -> limited or live, as the job says.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.config.portfolio import NO_EMBEDDING, Model
from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import CHECKPOINT_CHARS, NUSD_PER_USD
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import ModelState, Trial, arrays_of
from gateway.onboarding.asking import Asking, Desk, all_of
from gateway.onboarding.budget import PriceUnknown, check_prices
from gateway.onboarding.fitting import Fitted, Fitting, Known
from gateway.onboarding.jobs import Ending, Job, JobStore, Progress
from gateway.onboarding.until_stored import until_stored
from gateway.record.reading import recent_queries
from gateway.replicas.owner import BEAT_S
from gateway.routing.model_embeddings import find_embedding
from gateway.store.database import Database
from gateway.store.transactions import reading
from router.errors import RouterError
from router.model.serving import Router
from router.model.space import ModelSpace
from router.probes.probe import Probe, load_bank

log = logging.getLogger("locus.onboarding")

START, BATCH = 16, 8  # probes that are asked before the model is embedded first, and between two embeddings
LEAST = 16  # graded answers, with fewer the model stays in the state shadow
TRAFFIC_S, TRAFFIC = 30 * 86_400.0, 512  # the queries that count: the newest ones
_LIVE = ModelState("live", "", 0.0)


@dataclass(frozen=True, slots=True)
class Place:
    """What a course needs of the process.

    Attributes:
        router: of the portfolio's files, without versions.
        model: a model as the portfolio file has it.
        error: called with a model and the mean standard error of its P(correct), for the metrics.
        owner: the process, as the rows of its jobs name it.
    """

    desk: Desk
    jobs: JobStore
    versions: ModelVersions
    database: Database
    router: Callable[[], Router]
    model: Callable[[str], Model | None]
    owner: str
    error: Callable[[str, float], None] = lambda model, error: None


class Course:
    """Onboards the models of one job."""

    def __init__(self, place: Place, jobs: Sequence[Job]) -> None:
        self._place = place
        self._jobs = list(jobs)
        self._bank_name = jobs[0].options.bank
        self._fitting: Fitting | None = None
        self._askings: list[Asking] = []
        self._ended: set[str] = set()
        self._fitted: dict[str, Fitted] = {}
        self._stopping: Ending | None = None

    def stop(self, state: Ending = "stopped") -> None:
        """Asks no other probe; calls that run are waited for.

        Args:
            state: "waiting" if the next process shall go on.
        """
        self._stopping = state
        for asking in self._askings:
            asking.end(state, "stopped")

    async def run(self) -> None:
        """Returns when all models are onboarded, or cannot be.

        Raises:
            StoreUnavailable: the database does not answer; the next process goes on.
        """
        beating = asyncio.create_task(self._beat(), name="onboarding, beat")
        try:
            await self._prepare()
            await self._ask()
            await self._finish()
        except (RouterError, OSError) as exc:
            await self._fail(str(exc))
        except StoreUnavailable:
            raise
        except Exception as exc:  # a defect; its text may contain an answer
            log_exception(log, "onboarding failed", exc)
            await self._fail(f"unexpected {type(exc).__name__}; the log says where")
        except asyncio.CancelledError:
            self.stop("waiting")
            await self._report_ended()
            raise
        finally:
            beating.cancel()
            await asyncio.wait([beating])

    async def _prepare(self) -> None:
        """Reads the bank, and what was asked before.

        Raises:
            DataError: the bank cannot be read.
        """
        place, options, router = self._place, self._jobs[0].options, self._place.router()
        bank = await asyncio.to_thread(load_bank, options.bank)
        self._bank_name = bank.name
        probes = [probe for probe in bank.probes if options.judge is not None or probe.checker.type != "judge"]
        async with reading(place.database, "onboarding") as connection:
            since, checkpoint = time.time() - TRAFFIC_S, router.checkpoint[:CHECKPOINT_CHARS]
            traffic = await connection.run_sync(recent_queries, since, checkpoint, TRAFFIC)
        self._fitting = await asyncio.to_thread(Fitting, router, probes, traffic)
        for job in self._jobs:
            asking = Asking(place.desk, job, bank.name, probes, place.owner)
            self._askings.append(asking)
            if (problem := self._problem(job)) is not None:
                asking.end("failed", problem)
                continue
            await asking.resume()
            if not await self._evaluated(job.model):
                await place.versions.set_state(job.model, "probing", f"probes of {bank.name} are asked")
        if self._stopping is not None:
            self.stop(self._stopping)

    def _problem(self, job: Job) -> str | None:
        """Why a model cannot be onboarded."""
        models = self._place.desk.models()
        asked = [job.model] if job.options.judge is None else [job.model, job.options.judge]
        for name in asked:
            if name not in models:
                return f"the portfolio has no chat model {name}"
            try:
                check_prices(models[name].spec, job.options.unpriced)
            except PriceUnknown as exc:
                return str(exc)
        stated = self._place.model(job.model)
        if stated is not None and stated.embedding == NO_EMBEDDING:
            return f"`embedding: {NO_EMBEDDING}` in the portfolio file keeps `auto` from choosing it"
        return None

    async def _ask(self) -> None:
        """Asks batch after batch, and embeds the models after each."""
        while asked := [asking for asking in self._askings if asking.ending is None]:
            batches = await asyncio.to_thread(self._batches, asked)
            for asking in asked:
                if not batches[asking.name]:
                    asking.end("done", "the bank has no other probes" if asking.left else "all probes are asked")
            await all_of(asking.ask(batches[asking.name]) for asking in asked if batches[asking.name])
            await self._fit()
            for asking in asked:
                target = asking.job.options.target_error
                if asking.error is not None and target is not None and asking.error <= target:
                    asking.end("done", f"the standard error is {asking.error:.3f}, at most {target:g}")
            await self._report_ended()

    def _batches(self, askings: Sequence[Asking]) -> dict[str, list[Probe]]:
        assert self._fitting is not None
        batches: dict[str, list[Probe]] = {}
        known: dict[tuple[frozenset[str], int], list[Probe]] = {}
        for asking in askings:
            asked = [*asking.scores, *asking.unanswered]
            size = min(asking.left, START - len(asked) if len(asked) < START else BATCH)
            fitted = self._fitted.get(asking.name)
            embedding = None if fitted is None else fitted.embedding
            first, asking.interrupted = asking.interrupted[:size], asking.interrupted[size:]
            asked += [probe.id for probe in first]
            together = frozenset(asked), size
            if not self._fitting.joint or together not in known:  # models that are placed together get the same probes
                more = size - len(first)
                known[together] = first + (self._fitting.next_probes(asked, more, embedding) if more else [])
            batches[asking.name] = known[together]
        return batches

    async def _fit(self) -> None:
        """Embeds all models of the job. Where no known model was evaluated on the bank, the answers of other models help."""
        assert self._fitting is not None
        space = self._place.router().space
        scores: dict[str, dict[str, float]] = {}
        if self._fitting.joint:
            store = self._place.desk.answers
            names = list(self._place.desk.models())
            for row in await store.newest_scores("system:onboarding", self._bank_name, names):
                scores.setdefault(row.model, {})[row.probe] = row.score or 0.0
        scores |= {asking.name: dict(asking.scores) for asking in self._askings if asking.scores}
        stated = {name: self._place.model(name) for name in scores}
        known = {name: known_of(model, space) for name, model in stated.items() if model is not None}
        self._fitted = await asyncio.to_thread(self._fitting.fit, {name: scores[name] for name in known}, known)
        for asking in self._askings:
            if (fitted := self._fitted.get(asking.name)) is not None:
                asking.error = fitted.error
                self._place.error(asking.name, fitted.error)

    async def _finish(self) -> None:
        """Writes a version of each model whose probes are asked."""
        if any(asking.name not in self._fitted for asking in self._askings if asking.scores):
            await self._fit()
        for asking in self._askings:
            assert asking.ending is not None
            if asking.ending[0] == "done" and asking.name not in self._fitted:
                asking.ending = "failed", f"no answer could be graded; {asking.ending[1]}"
        await self._report_ended()
        for asking in self._askings:
            if asking.ending is not None and asking.ending[0] == "done":
                version = await until_stored(partial(self._place_model, asking, self._fitted[asking.name]))
                await self._end(asking.name, *asking.ending, asking.progress, version)

    async def _place_model(self, asking: Asking, fitted: Fitted) -> int:
        """Adds the version, unless it is the one in use already, and sets the state; returns the version's number."""
        versions, options, name = self._place.versions, asking.job.options, asking.name
        before = (await versions.states()).get(name)
        unproven = before is not None and before.state not in ("live", "limited")
        graded = len(asking.scores)
        if unproven:
            await versions.set_state(name, "shadow", f"embedded from {graded} answers to {self._bank_name}")
        version = await self._version(asking, fitted)
        if unproven and graded >= LEAST:
            trial = Trial(target_error=options.target_error)
            await versions.set_state(name, options.then, f"onboarded with {graded} answers", trial=trial)
        return version

    async def _version(self, asking: Asking, fitted: Fitted) -> int:
        """The number of a version with this embedding, or of the refinement in use that began at this embedding.

        A second equal version would undo a refinement, and give the next rollback nothing to go back to.
        """
        versions, checkpoint = self._place.versions, self._place.router().checkpoint
        used = [v for v in await versions.history(asking.name) if v.used and v.deployment is None]  # the newest first
        live = next((v for v in used if v.live), None)
        if live is not None and live.checkpoint == checkpoint:
            base = next((v for v in used if v.version <= live.version and v.source != "refinement"), None)
            if base is not None and base.arrays == arrays_of(fitted.embedding):
                return live.version
        note = f"{len(asking.scores)} answers to {self._bank_name}, {asking.progress.nusd / NUSD_PER_USD:.4f} USD"
        return await versions.add(
            asking.name, fitted.embedding, checkpoint=checkpoint, source="onboarding", note=note, live=True
        )

    async def _evaluated(self, model: str) -> bool:
        """True if routing has an embedding of the model's own already, and its state is not in doubt."""
        state = (await self._place.versions.states()).get(model)
        if state is not None and state.state not in ("live", "limited"):
            return False
        if model in await self._place.versions.live():
            return True
        stated = self._place.model(model)
        return stated is not None and known_of(stated, self._place.router().space).embedding is not None

    async def _report_ended(self) -> None:
        """Ends the jobs that have failed or stopped."""
        progress = self._progress()
        for asking in self._askings:
            if asking.ending is not None and asking.ending[0] != "done" and asking.name in progress:
                await self._end(asking.name, *asking.ending, progress[asking.name])

    async def _end(
        self, model: str, state: Ending, reason: str, progress: Progress, version: int | None = None
    ) -> None:
        self._ended.add(model)
        place = self._place
        if state in ("failed", "stopped") and (await place.versions.states()).get(model, _LIVE).state == "probing":
            await place.versions.set_state(model, "declared", f"onboarding has {state}: {reason}")
        await until_stored(partial(place.jobs.end, place.owner, model, state, reason, progress, version))
        log.info("onboarding of %s is %s: %s", model, state, reason)

    async def _fail(self, reason: str) -> None:
        """Ends all jobs that have not ended."""
        for model, progress in self._progress().items():
            await self._end(model, "failed", reason, progress)

    def _progress(self) -> dict[str, Progress]:
        """How far the jobs are that have not ended, by model."""
        known = {job.model: job.progress for job in self._jobs}
        known |= {asking.name: asking.progress for asking in self._askings}
        return {model: progress for model, progress in known.items() if model not in self._ended}

    async def _beat(self) -> None:
        """Renews the rows of the jobs, and notices that one must stop."""
        while True:
            known = {asking.name: asking for asking in self._askings}
            try:
                for model in await self._place.jobs.beat(self._place.owner, self._progress()):
                    if model in known:
                        known[model].end("stopped", "stopped")
            except StoreUnavailable:
                log.warning("the progress of onboarding cannot be written now")
            await asyncio.sleep(BEAT_S)


def known_of(model: Model, space: ModelSpace) -> Known:
    """What a model space says of a model of the portfolio."""
    found = find_embedding(model, space)
    if found.name is not None:
        row = space.rows([found.name])
        return Known(found.name, space.embeddings.row(int(row[0])))
    names = [deployment.known_as or deployment.upstream_model for deployment in model.deployments]
    return Known(names[0], None)
