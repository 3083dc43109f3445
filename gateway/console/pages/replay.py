"""Replay, advice and savings: what to ask, the jobs that were started, and what each found. `/admin/replay` starts them."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.curve_chart import NARROW, WIDE, curve_chart
from gateway.console.rendering import page
from gateway.console.replay_view import advice_view, replay_view
from gateway.console.visitor import Visitor
from gateway.core.errors import NotFound
from gateway.core.json_types import JsonObject
from gateway.http.service import Service
from gateway.replay.jobs import ReplayJob
from gateway.store.clock import database_clock
from gateway.store.transactions import reading


class ReplayPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The pages."""
        return [
            Route("/ui/replay", self.show, methods=["GET"]),
            Route("/ui/replay/job", self.show_job, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """What can be asked, and what was asked."""
        _need_operator(request)
        portfolio, runner = self._service.in_force.portfolio, self._service.replays
        ready = runner is not None and portfolio.settings.record is not None
        values: dict[str, Any] = {
            "models": [model.name for model in portfolio.models],
            "policies": list(portfolio.policies),
            "jobs": [] if runner is None else [(job, described(job)) for job in await runner.jobs.all()],
        }
        return await page(request, "replay.html", ready=ready, **values)

    async def show_job(self, request: Request) -> Response:
        """A job and what it found; the part of the page that changes, if htmx asks."""
        _need_operator(request)
        id = request.query_params.get("id", "")
        found = None if self._service.replays is None else await self._service.replays.jobs.of(id)
        if found is None:
            raise NotFound(f"There is no replay `{id[:64]}`.")
        job, text = found
        values: dict[str, Any] = {"job": job, "words": described(job)} | await self._found(job, text)
        part = request.headers.get("hx-request") == "true"
        return await page(request, "replay_found.html" if part else "replay_job.html", **values)

    async def _found(self, job: ReplayJob, text: str | None) -> JsonObject:
        values: JsonObject = {"replay": None, "charts": None, "advice": None, "savings": None, "newest_only": False}
        if job.state == "running" and self._service.database is not None:
            async with reading(self._service.database, "replays") as connection:
                values["seconds"] = max(0.0, await database_clock(connection) - job.created)
        if text is None:
            return values
        result = orjson.loads(text)
        values["newest_only"] = result["newest_only"]
        if "advice" in result:
            values["advice"] = advice_view(result["advice"])
        elif "savings" in result:
            beside = [
                (one["beside"], one["model"], replay_view([one["replay"] | _SINGLE], {}))
                for one in result["savings"]["beside"]
            ]
            values["savings"] = {"beside": beside, "cache": result["savings"]["cache"]}
        else:
            values["replay"] = view = replay_view(result["data"], job.options)
            charts = [curve_chart(view.points, width) for width in (WIDE, NARROW)]
            values["charts"] = charts if all(charts) else None
        return values


_SINGLE = {"policy": None, "cost_weight": None}  # of the reports of savings, which replay one model


def described(job: ReplayJob) -> str:
    """What was asked for, in words."""
    options = job.options
    kind = options.get("kind", "replay")
    if kind != "replay":
        return {"advice": "Advice on the portfolio", "savings": "Savings beside one model"}[kind]
    weights = ", ".join(f"{weight:g}" for weight in options.get("cost_weights") or ())
    parts = [f"cost weights {weights}" if weights else f"policy {options.get('policy') or 'of each request'}"]
    parts += ["another portfolio"] if options.get("portfolio") else []
    parts += [f"without {', '.join(options['without'])}"] if options.get("without") else []
    return f"Replay: {', '.join(parts)}"


def _need_operator(request: Request) -> None:
    visitor: Visitor = request.state.visitor
    visitor.need_operator()
