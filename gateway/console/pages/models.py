"""The models of the portfolio: their states, deployments and onboarding, with the buttons that change them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.onboarding import OnboardEntry
from gateway.config.portfolio import NO_EMBEDDING, Model
from gateway.console.deployment_health import deployments_of
from gateway.console.drift_course import DriftCourse, drift_of
from gateway.console.model_traffic import DEFAULT_PERIOD, PERIOD_NAMES, PERIODS, requests_by_model
from gateway.console.rendering import page
from gateway.core.errors import NotFound
from gateway.deployments.live import LiveModel
from gateway.drift.store import DriftStore, Event
from gateway.http.service import Service
from gateway.model_versions.states import STATES
from gateway.model_versions.stored import Version
from gateway.onboarding.jobs import Job, JobStore
from gateway.routing.standing import Standing
from gateway.store.transactions import reading

PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the list.

    Attributes:
        available: number of its deployments that calls may be made to now.
        why: why none can be called; empty if one can.
        requests: that it answered; None: nothing is recorded.
        event: the newest one of drift, a text; empty if there is none.
    """

    model: Model
    standing: Standing
    available: int
    why: str
    requests: int | None
    job: Job | None
    event: str


class ModelsPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The list, and the page of each model."""
        return [
            Route("/ui/models", self.list_models, methods=["GET"]),
            Route("/ui/models/{name:path}", self.show, methods=["GET"]),
        ]

    async def list_models(self, request: Request) -> Response:
        """The models that the filters leave, a hundred at a time."""
        request.state.visitor.need_operator()
        in_force, asked = self._service.in_force, request.query_params
        text, state = asked.get("q", "").strip().lower(), asked.get("state", "")
        found = [
            model
            for model in in_force.portfolio.models
            if text in model.name.lower() and state in ("", in_force.standings[model.name].state)
        ]
        first = max(0, int(asked["from"])) if asked.get("from", "").isdecimal() else 0
        shown = found[first : first + PAGE_ROWS]
        answered = await self._answered()
        rows = await self._rows(shown, answered)
        part = request.query_params.get("part") == "rows"
        return await page(
            request,
            "models_rows.html" if part else "models.html",
            rows=rows,
            total=len(found),
            first=first,
            page_rows=PAGE_ROWS,
            all_requests=None if answered is None else sum(answered.values()),
            period=PERIOD_NAMES[DEFAULT_PERIOD],
            states=STATES,
            q=asked.get("q", ""),
            state=state,
        )

    async def show(self, request: Request) -> Response:
        """One model; with `?part=live` what changes while the page is open."""
        request.state.visitor.need_operator()
        service, model = self._service, self._model(request)
        answered = await self._answered()
        values: dict[str, Any] = {"model": model, "in_database": service.database is not None}
        values |= await self._live(model, answered)
        if request.query_params.get("part") == "live":
            return await page(request, "model_live.html", **values)
        values["onboard"] = OnboardEntry() if model.onboard is None else model.onboard
        values["may_onboard"] = service.database is not None and model.embedding != NO_EMBEDDING
        return await page(request, "model.html", **values)

    async def _live(self, model: Model, answered: Mapping[str, int] | None) -> dict[str, Any]:
        service, name = self._service, model.name
        in_force = service.in_force
        now = next(one for one in in_force.portfolio.models if one.name == name)
        job: Job | None = None
        courses: list[DriftCourse] = []
        events: list[Event] = []
        history: list[Version] = []
        if service.database is not None:
            job = await JobStore(service.database).of(name)
            courses, events = await drift_of(service.database, name)
        if service.models is not None:
            history = await service.models.history(name)
        return {
            "placed": now,
            "standing": in_force.standings[name],
            "set_state": in_force.in_use.states.get(name),
            "deployments": deployments_of(service, name),
            "several": len(now.deployments) > 1,
            "requests": None if answered is None else answered.get(name, 0),
            "all_requests": None if answered is None else sum(answered.values()),
            "period": PERIOD_NAMES[DEFAULT_PERIOD],
            "job": job,
            "courses": courses,
            "events": events,
            "watched": in_force.portfolio.drift is not None,
            "history": history,
        }

    async def _rows(self, models: list[Model], answered: Mapping[str, int] | None) -> list[Row]:
        in_force, database = self._service.in_force, self._service.database
        jobs: dict[str, Job] = {}
        events: dict[str, str] = {}
        if database is not None:
            jobs = {job.model: job for job in await JobStore(database).all([model.name for model in models])}
            for event in await DriftStore(database).events():
                events.setdefault(event.model, event.words)
        rows = []
        for model in models:
            live = in_force.deployments.models[model.name]
            available, why = _availability(live)
            requests = None if answered is None else answered.get(model.name, 0)
            standing, job = in_force.standings[model.name], jobs.get(model.name)
            rows.append(Row(model, standing, available, why, requests, job, events.get(model.name, "")))
        return rows

    async def _answered(self) -> dict[str, int] | None:
        """The requests that each model answered lately; None if nothing is recorded."""
        if self._service.database is None:
            return None
        async with reading(self._service.database, "requests") as connection:
            return await connection.run_sync(requests_by_model, time.time() - PERIODS[DEFAULT_PERIOD])

    def _model(self, request: Request) -> Model:
        """The model of the address, as the portfolio file has it."""
        name = request.path_params["name"]
        for model in self._service.in_force.file.models:
            if model.name == name:
                return model
        raise NotFound(f"The portfolio has no chat model `{name[:256]}`.")


def _availability(live: LiveModel) -> tuple[int, str]:
    available = sum(one.unavailable() is None for one in live.deployments)
    return available, "" if available else live.unavailable() or ""
