"""Keys, teams and their budgets; for the holder of a key, its own.

The browser makes changes through `/admin/keys` and `/admin/teams`.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.access import AccessEntry
from gateway.console.access_list import AccessList, Listed
from gateway.console.day_chart import NARROW, WIDE, day_chart
from gateway.console.rendering import page
from gateway.console.spending import DAY_S
from gateway.console.visitor import Visitor
from gateway.core.errors import NotFound
from gateway.core.json_types import JsonObject
from gateway.http.service import Service
from gateway.keys.description import describe_access, own_key
from gateway.limits.left import left_of
from gateway.store.transactions import reading

DAYS = 30  # of the chart


class KeysPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._access = AccessList(service)

    def routes(self) -> list[Route]:
        """The pages."""
        return [
            Route("/ui/keys", self.show, methods=["GET"]),
            Route("/ui/keys/new", self.new_key, methods=["GET"]),
            Route("/ui/keys/key", self.show_key, methods=["GET"]),
            Route("/ui/keys/change", self.change_key, methods=["GET"]),
            Route("/ui/keys/new-team", self.new_team, methods=["GET"]),
            Route("/ui/keys/team", self.show_team, methods=["GET"]),
            Route("/ui/keys/change-team", self.change_team, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """All keys and teams to the operator, its own to the holder of a key."""
        visitor: Visitor = request.state.visitor
        if not visitor.operator:
            return await self._own(request, visitor)
        search, revoked = request.query_params.get("search", ""), request.query_params.get("revoked") == "yes"
        keys, count = await self._access.keys(search, revoked=revoked)
        teams = await self._access.teams()
        stored = self._service.key_store is not None
        values: dict[str, Any] = {"keys": keys, "count": count, "teams": teams, "search": search, "revoked": revoked}
        return await page(request, "keys.html", stored=stored, **values)

    async def show_key(self, request: Request) -> Response:
        _need_operator(request)
        key = await self._access.key(request.query_params.get("id", ""))
        overlap = self._service.in_force.portfolio.settings.rotate_overlap
        used = await self._used(key.fields["id"])
        return await page(request, "key.html", key=key, overlap=overlap, used=used)

    async def new_key(self, request: Request) -> Response:
        _need_operator(request)
        fields = _empty() | {"team": request.query_params.get("team")}
        return await self._form(request, "key", fields, None)

    async def change_key(self, request: Request) -> Response:
        _need_operator(request)
        key = _changeable(await self._access.key(request.query_params.get("id", "")))
        return await self._form(request, "key", key.fields, key.fields["id"])

    async def show_team(self, request: Request) -> Response:
        _need_operator(request)
        team = await self._access.team(request.query_params.get("name", ""))
        keys, count = await self._access.keys(team=team.fields["name"])
        return await page(request, "team.html", team=team, keys=keys, count=count)

    async def new_team(self, request: Request) -> Response:
        _need_operator(request)
        return await self._form(request, "team", _empty(), None)

    async def change_team(self, request: Request) -> Response:
        _need_operator(request)
        team = _changeable(await self._access.team(request.query_params.get("name", "")))
        return await self._form(request, "team", team.fields, team.fields["name"])

    async def _form(self, request: Request, kind: str, fields: JsonObject, changed: str | None) -> Response:
        """The form of a key or team.

        Args:
            changed: the id of the key or name of the team that it changes; None: it makes one.
        """
        if self._service.key_store is None:
            raise NotFound("The gateway has no database for keys: set `record` or `store` under `gateway` in its file.")
        portfolio = self._service.in_force.portfolio
        teams = await self._access.team_names() if kind == "key" else []
        names: dict[str, Any] = {
            "models": sorted(portfolio.model_names),
            "policies": list(portfolio.policies),
            "teams": teams,
        }
        return await page(request, "access_form.html", kind=kind, fields=fields, changed=changed, **names)

    async def _own(self, request: Request, visitor: Visitor) -> Response:
        grant = visitor.grant
        slice = await self._service.limiter.current(grant) if grant.scopes else None
        budgets = await self._access.spending.budgets(
            ("key", name, limits) for (kind, name), limits in grant.scopes if kind == "key"
        )
        left = None if slice is None else left_of(slice)
        values: dict[str, Any] = {
            "key": own_key(grant),
            "left": left,
            "budgets": budgets.get(("key", grant.identity.id), []),
        }
        return await page(request, "own_key.html", used=await self._used(grant.identity.id), **values)

    async def _used(self, key_id: str) -> JsonObject | None:
        """What a key was used for in the last days: charts for a screen and for a phone, and sums. None: there are no sums."""
        if self._service.database is None:
            return None
        now = self._service.limiter.now
        async with reading(self._service.database, "spending") as connection:
            from gateway.record.key_sums import days_of_key

            days = await connection.run_sync(days_of_key, key_id, now // DAY_S * DAY_S - (DAYS - 1) * DAY_S)
        nusd = {day.day: day.nusd for day in days}
        return {
            "charts": [day_chart(nusd, now, DAYS, width) for width in (WIDE, NARROW)],
            "requests": sum(day.requests for day in days),
            "errors": sum(day.errors for day in days),
            "unpriced": sum(day.unpriced_calls for day in days),
        }


def _empty() -> JsonObject:
    """The fields of a form to begin with."""
    default = AccessEntry()
    return {"name": ""} | describe_access(default.allowed, default.limits, None, ())


def _need_operator(request: Request) -> None:
    visitor: Visitor = request.state.visitor
    visitor.need_operator()


def _changeable(one: Listed) -> Listed:
    """
    Raises:
        NotFound: it is of the portfolio file, or revoked.
    """
    if not one.changeable:
        why = "revoked" if one.fields.get("revoked") else "of the portfolio file: change it there"
        raise NotFound(f"`{one.fields['name']}` is {why}.")
    return one
