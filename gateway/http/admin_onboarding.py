"""`/admin/models/{name}/onboard` and `/onboarding`: starts, shows and stops the job that onboards a model.

A job is a row of the database, so that any process answers; the gateway that leads runs it. The edge has checked that the operator
asks.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.onboarding import SHIPPED_BANK, OnboardEntry
from gateway.config.portfolio import NO_EMBEDDING, Model
from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.http.admin_values import admin_answer
from gateway.http.body_fields import body_fields
from gateway.http.service import Service
from gateway.keys.new_entry import checked
from gateway.onboarding.budget import PriceUnknown, check_prices
from gateway.onboarding.jobs import Job, JobStore


class AdminOnboarding:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """All routes of onboarding."""
        path = "/admin/models/{name:path}"
        return [
            Route(f"{path}/onboard", self.start, methods=["POST"]),
            Route(f"{path}/onboarding", self.show, methods=["GET"]),
            Route(f"{path}/onboarding", self.stop, methods=["DELETE"]),
        ]

    async def start(self, request: Request) -> Response:
        """Adds a job; 409 if one waits or runs."""
        model, jobs = self._model(request), self._jobs()
        fields = await body_fields(request)
        again = fields.pop("again", False)
        if not isinstance(again, bool):
            raise InvalidRequest("`again` must be true or false.", param="again")
        options = checked(OnboardEntry, OnboardEntry.fields_of(model.onboard, fields))
        self._check(model, options)
        (job,) = await jobs.submit({model.name: options}, "gateway", again=again)
        return admin_answer(describe_job(job), 202)

    async def show(self, request: Request) -> Response:
        """The last job of the model."""
        model = self._model(request)
        job = await self._jobs().of(model.name)
        if job is None:
            raise NotFound(f"{model.name} was never onboarded.")
        return admin_answer(describe_job(job))

    async def stop(self, request: Request) -> Response:
        """Stops the job: calls that run are waited for. A later job goes on where it stopped."""
        return admin_answer(describe_job(await self._jobs().stop(self._model(request).name)), 202)

    def _model(self, request: Request) -> Model:
        name = request.path_params["name"]
        for model in self._service.in_force.file.models:
            if model.name == name:
                return model
        raise NotFound(f"The portfolio has no chat model `{name[:256]}`.")

    def _jobs(self) -> JobStore:
        if self._service.database is None:
            raise NotFound(
                "The gateway has no database for answers: set `record` or `store` under `gateway` in its file."
            )
        return JobStore(self._service.database)

    def _check(self, model: Model, options: OnboardEntry) -> None:
        """
        Raises:
            InvalidRequest: the options name a bank or a judge that the portfolio file does not name, or a price is not known.
            Conflict: the portfolio file keeps `auto` from choosing the model.
        """
        models = {one.name: one for one in self._service.in_force.file.models}
        banks = {SHIPPED_BANK} | {one.onboard.bank for one in models.values() if one.onboard is not None}
        if options.bank not in banks:
            raise InvalidRequest(
                f"`bank` is one of {', '.join(sorted(banks))}: the shipped one, or one that `onboard` of a model in the "
                "portfolio file names. `locus onboard` takes any file.",
                param="bank",
            )
        if options.judge is not None and options.judge not in models:
            raise InvalidRequest(f"The portfolio has no chat model `{options.judge[:256]}`.", param="judge")
        if model.embedding == NO_EMBEDDING:
            raise Conflict(f"`embedding: {NO_EMBEDDING}` of {model.name} keeps `auto` from choosing it.")
        try:
            check_prices(model, options.unpriced)
        except PriceUnknown as exc:
            raise InvalidRequest(f"{model.name}: {exc}.", param="unpriced") from exc


def describe_job(job: Job) -> JsonObject:
    """A job as the API has it."""
    done = job.progress
    return {
        "object": "onboarding",
        "model": job.model,
        "state": job.state,
        "reason": job.reason or None,
        "options": job.options.model_dump(),
        "asked": done.asked,
        "graded": done.graded,
        "right": done.right,
        "unanswered": done.unanswered,
        "usd": done.nusd / NUSD_PER_USD,
        "unpriced_calls": done.unpriced_calls,
        "predicted_error": done.error,
        "created": job.created,
        "ended": job.ended,
        "version": job.version,
    }
