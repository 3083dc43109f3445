"""`/admin/replay`: starts a replay of the record, or advice or savings from it, lists them and shows what one found.

The edge has checked that the operator asks.
"""

import time
from typing import Annotated

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.field_types import FileModel, Name, Number
from gateway.core.durations import iso_time
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.json_types import JsonObject
from gateway.http.admin_values import admin_answer, asked_time
from gateway.http.body_fields import body_fields
from gateway.http.service import Service
from gateway.keys.new_entry import checked
from gateway.replay.alternatives import MOST_WEIGHTS, alternatives
from gateway.replay.jobs import ReplayJob
from gateway.replay.order import Kind, Order
from gateway.replay.runner import ReplayRunner

MAX_BODY = 5 << 20  # bytes; a portfolio file has at most 4 MiB
MOST_DAYS = 400
MOST_ROWS = 500_000
SINCE = {"replay": "7d", "advice": "30d", "savings": "30d"}  # without `since`, as the commands have it
MOST_DECISIONS = 4_000_000  # rows x cost weights
_DAY_S = 86_400


class ReplayEntry(FileModel):
    """The body of `POST /admin/replay`."""

    kind: Kind = "replay"
    since: Name | None = None
    until: Name | None = None
    policy: Name | None = None
    cost_weights: Annotated[list[Number], Field(max_length=MOST_WEIGHTS)] = Field(default_factory=list)
    portfolio: str | None = None
    without: list[Name] = Field(default_factory=list)
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100_000


class AdminReplay:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """All routes of replays."""
        return [
            Route("/admin/replay", self.list_replays, methods=["GET"]),
            Route("/admin/replay", self.start, methods=["POST"]),
            Route("/admin/replay/{id}", self.show, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        """Starts a replay; 409 while another one runs."""
        entry = checked(ReplayEntry, await body_fields(request, limit=MAX_BODY))
        since, until = _period(entry)
        _check(entry)
        in_force, runner = self._service.in_force, self._runner()
        settings = in_force.file.settings
        if settings.record is None or settings.database is None:
            raise NotFound("The gateway keeps no record of requests: set `record` under `gateway` in its file.")
        of = alternatives(entry.policy, entry.cost_weights)
        order = Order(
            in_force.file,
            in_force.in_use,
            in_force.file_router.checkpoint,
            settings.database,
            tuple(of),
            entry.portfolio,
            since,
            until,
            entry.rows,
            entry.kind,
            tuple(entry.without),
        )
        options = {
            "kind": entry.kind,
            "since": iso_time(since),
            "until": iso_time(until),
            "policy": entry.policy,
            "cost_weights": entry.cost_weights,
            "portfolio": entry.portfolio is not None,
            "without": entry.without,
            "rows": entry.rows,
        }
        return admin_answer(describe_replay(await runner.start(order, options)), 202)

    async def list_replays(self, request: Request) -> Response:
        """The last hundred replays, the newest first, without what they found."""
        jobs = await self._runner().jobs.all()
        return admin_answer({"object": "list", "data": [describe_replay(job) for job in jobs]})

    async def show(self, request: Request) -> Response:
        """A replay and what it found."""
        id = request.path_params["id"]
        found = await self._runner().jobs.of(id)
        if found is None:
            raise NotFound(f"There is no replay `{id[:64]}`.")
        job, result = found
        return admin_answer(describe_replay(job) | {"result": None if result is None else orjson.Fragment(result)})

    def _runner(self) -> ReplayRunner:
        if self._service.replays is None:
            raise NotFound(
                "The gateway has no database for replays: set `record` or `store` under `gateway` in its file."
            )
        return self._service.replays


def _check(entry: ReplayEntry) -> None:
    """
    Raises:
        InvalidRequest: fields contradict each other.
    """
    for name in ("policy", "cost_weights", "portfolio", "without"):
        if entry.kind != "replay" and getattr(entry, name):
            raise InvalidRequest(
                f"`{name}` is of a replay; `{entry.kind}` is about the portfolio in force.", param=name
            )
    if entry.policy is not None and entry.cost_weights:
        raise InvalidRequest("Send `policy` or `cost_weights`, not both.", param="cost_weights")
    if entry.rows * len(entry.cost_weights) > MOST_DECISIONS:
        raise InvalidRequest(f"`rows` times the number of `cost_weights` is at most {MOST_DECISIONS:,}.", param="rows")


def _period(entry: ReplayEntry) -> tuple[float, float]:
    """
    Raises:
        InvalidRequest: a time cannot be read, or the period is empty or too long.
    """
    now = time.time()
    since = asked_time("since", entry.since or SINCE[entry.kind], now)
    until = now if entry.until is None else asked_time("until", entry.until, now)
    if not since < until <= since + MOST_DAYS * _DAY_S:
        raise InvalidRequest(f"`since` must be before `until`, by at most {MOST_DAYS} days.", param="since")
    return since, until


def describe_replay(job: ReplayJob) -> JsonObject:
    """A replay as the API has it."""
    return {
        "object": "replay",
        "id": job.id,
        "state": job.state,
        "reason": job.reason or None,
        "options": job.options,
        "created": job.created,
        "ended": job.ended,
    }
