"""The map of the models: where they lie in the model space, how much they answer, and how well."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.formats import number, percent
from gateway.console.last_advice import last_advice
from gateway.console.model_details import model_details
from gateway.console.model_traffic import DEFAULT_PERIOD, PERIOD_NAMES, PERIODS, requests_by_model
from gateway.console.own_traffic import MOST, OwnTraffic, own_traffic
from gateway.console.rendering import json_answer, page
from gateway.console.space_view import SpaceView, space_view
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.http.service import Service
from gateway.store.transactions import reading
from router.explore.space_map import Mark, drawing

QUERIES_S = 30 * 86_400  # how far back queries may be
ADDITIONS = 5  # models of the space that are named since they would add most
FRESH_S = 60.0  # recent queries are read again after this time


class MapPage:
    """Answers the requests of these routes. The view is computed once for each portfolio in force."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._view: SpaceView | None = None
        self._traffic: tuple[float, SpaceView, OwnTraffic | None] | None = None
        self._making = asyncio.Lock()

    def routes(self) -> list[Route]:
        """The page, and what its script asks for."""
        return [
            Route("/ui/map", self.show, methods=["GET"]),
            Route("/ui/map/models", self.models, methods=["GET"]),
            Route("/ui/map/model", self.model, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        request.state.visitor.need_operator()
        portfolio = self._service.in_force.portfolio
        placeless = [model.name for model in portfolio.models if model.embedding is None]
        return await page(
            request,
            "map.html",
            periods=PERIOD_NAMES,
            period=_period(request),
            policies=list(portfolio.policies),
            placeless=placeless,
            all_placeless=len(placeless) == len(portfolio.models),
            database=self._service.database is not None,
        )

    async def models(self, request: Request) -> Response:
        """All models, as `space_map.js` draws them."""
        request.state.visitor.need_operator()
        period = _period(request)
        view, traffic = await self._known()
        answered = await self._answered(period)
        drawn = await asyncio.to_thread(_drawing, view, traffic, answered, period)
        return await json_answer(request, drawn)

    async def model(self, request: Request) -> Response:
        """One model, as the map shows it once it is chosen."""
        request.state.visitor.need_operator()
        name, other = request.query_params.get("name", ""), request.query_params.get("other") == "true"
        view, traffic = await self._known()
        row = view.row(name, other=other)
        if row is None:
            raise NotFound(f"The map has no model `{name[:256]}`.")
        answered = await self._answered(_period(request))
        versions = self._service.models
        history = [] if other or versions is None else await versions.history(name)
        advice = None
        if self._service.replays is not None:
            advice = await last_advice(self._service.replays.jobs, view.in_force.file_router.space)
        return await json_answer(request, model_details(view, row, traffic, answered, history, advice))

    async def _known(self) -> tuple[SpaceView, OwnTraffic | None]:
        """The view of the portfolio in force, and the predictions for the recent queries, both computed if they are old."""
        async with self._making:
            in_force = self._service.in_force
            if self._view is None or self._view.in_force is not in_force:
                self._view = await asyncio.to_thread(space_view, in_force)
            view, now = self._view, self._service.clock()
            if self._traffic is None or self._traffic[1] is not view or now - self._traffic[0] > FRESH_S:
                self._traffic = now, view, await self._own_traffic(view)
            return view, self._traffic[2]

    async def _own_traffic(self, view: SpaceView) -> OwnTraffic | None:
        if self._service.database is None or view.in_force.portfolio.settings.record is None:
            return None
        from gateway.record.reading import recent_queries

        checkpoint, since = view.in_force.router.checkpoint[:CHECKPOINT_CHARS], time.time() - QUERIES_S
        async with reading(self._service.database, "requests") as connection:
            queries = await connection.run_sync(recent_queries, since, checkpoint, MOST)
        return await asyncio.to_thread(own_traffic, view, queries)

    async def _answered(self, period: str) -> Mapping[str, int]:
        """The requests that each model answered."""
        if self._service.database is None:
            return {}
        async with reading(self._service.database, "requests") as connection:
            return await connection.run_sync(requests_by_model, time.time() - PERIODS[period])


def _period(request: Request) -> str:
    """
    Raises:
        InvalidRequest: there is no such period.
    """
    period = request.query_params.get("period", DEFAULT_PERIOD)
    if period not in PERIODS:
        raise InvalidRequest(f"`period` must be one of {', '.join(PERIODS)}.", param="period")
    return period


def _drawing(view: SpaceView, traffic: OwnTraffic | None, answered: Mapping[str, int], period: str) -> dict[str, Any]:
    added = [] if traffic is None else traffic.best_additions(range(view.own, len(view.names)), ADDITIONS)
    additions = [{"name": view.names[row], "gain": gain} for row, gain in added]
    return drawing(_marks(view, traffic, answered), _caption(view, traffic, period)) | {"additions": additions}


def _marks(view: SpaceView, traffic: OwnTraffic | None, answered: Mapping[str, int]) -> list[Mark]:
    most = max((answered.get(name, 0) for name in view.names[: view.own]), default=0)
    marks = []
    for i, name in enumerate(view.names):
        other = i >= view.own
        accuracy = _accuracy(view, traffic, i)
        mark = Mark(
            name,
            view.known_as[i],
            (float(view.xy[i, 0]), float(view.xy[i, 1])),
            0.0 if other or not most else float(np.sqrt(answered.get(name, 0) / most)),  # the area shows the number
            accuracy,
            None if other else accuracy,
            other,
            view.relatives[i],
            None if other else view.first_stand_ins[i],
        )
        marks.append(mark)
    return marks


def _accuracy(view: SpaceView, traffic: OwnTraffic | None, row: int) -> float | None:
    if traffic is not None:
        return float(traffic.accuracy[row])
    return view.overviews[row].accuracy.mean if view.overviews else None


def _caption(view: SpaceView, traffic: OwnTraffic | None, period: str) -> str:
    if traffic is not None:
        ring = f"mean P(correct) on your last {number(traffic.queries)} queries"
    elif view.overviews:
        ring = "mean P(correct) over the benchmarks of the checkpoint, since the record has too few queries of yours"
    else:
        ring = "unknown: the checkpoint has no anchor queries, and the record too few queries of yours"
    return (
        f"Near on the map is near in the model space: two dimensions show {percent(view.explained)} of the squared distances. "
        f"Area of a mark: requests answered in the last {PERIOD_NAMES[period]}. Ring and list: {ring}. "
        "Open marks with ≈ borrow the embedding of a relative. Arrows lead to the model that usually stands in first."
    )
