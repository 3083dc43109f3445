"""`/admin/keys` and `/admin/teams`: keys and teams that are made at run time. The edge has checked that the operator asks."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.access import AccessEntry, NewKey, TeamEntry
from gateway.config.portfolio import Portfolio
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.json_types import JsonObject
from gateway.http.admin_values import admin_answer
from gateway.http.body_fields import body_fields
from gateway.http.service import Service
from gateway.keys.description import describe_file_key, describe_file_team, describe_key, describe_team
from gateway.keys.new_entry import checked_entry
from gateway.keys.store import KeyStore
from gateway.keys.stored import access_fields

MAX_BODY = 1 << 18  # bytes; a list of all models of a large portfolio is smaller


class AdminKeys:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def _portfolio(self) -> Portfolio:
        return self._service.in_force.portfolio

    def routes(self) -> list[Route]:
        """All routes of keys and teams."""
        return [
            Route("/admin/keys", self.list_keys, methods=["GET"]),
            Route("/admin/keys", self.create_key, methods=["POST"]),
            Route("/admin/keys/{name}", self.show_key, methods=["GET"]),
            Route("/admin/keys/{name}", self.change_key, methods=["PATCH"]),
            Route("/admin/keys/{name}", self.revoke_key, methods=["DELETE"]),
            Route("/admin/keys/{name}/rotate", self.rotate_key, methods=["POST"]),
            Route("/admin/teams", self.list_teams, methods=["GET"]),
            Route("/admin/teams", self.create_team, methods=["POST"]),
            Route("/admin/teams/{name:path}", self.show_team, methods=["GET"]),
            Route("/admin/teams/{name:path}", self.change_team, methods=["PATCH"]),
            Route("/admin/teams/{name:path}", self.delete_team, methods=["DELETE"]),
        ]

    async def list_keys(self, request: Request) -> Response:
        """Those of the portfolio file, then those of the store."""
        revoked = request.query_params.get("revoked") == "true"
        store = self._service.key_store
        used = {} if store is None else await store.last_used()
        listed = [describe_file_key(key, used) for key in self._portfolio.access.keys]
        if store is not None:
            listed += [describe_key(key, used) for key in await store.keys(revoked=revoked)]
        return admin_answer({"object": "list", "data": listed})

    async def create_key(self, request: Request) -> Response:
        """The answer has the key itself, once."""
        store = self._store()
        new = checked_entry(NewKey, await body_fields(request, limit=MAX_BODY), self._portfolio)
        key, secret = await store.create(new)
        self._service.keys.forget()
        return admin_answer(describe_key(key) | {"key": secret.reveal()}, 201)

    async def show_key(self, request: Request) -> Response:
        name = request.path_params["name"]
        used = {} if self._service.key_store is None else await self._service.key_store.last_used()
        for key in self._portfolio.access.keys:
            if name in (key.identity.id, key.identity.name):
                return admin_answer(describe_file_key(key, used))
        return admin_answer(describe_key(await self._store().key(name), used))

    async def change_key(self, request: Request) -> Response:
        """Changes the fields that are sent; null gives a field its default."""
        store = self._store()
        old = await store.key(request.path_params["name"])
        fields = {"name": old.name, "team": old.team} | access_fields(old.access)
        key = await store.change(
            old.id, checked_entry(NewKey, _changed(fields, await body_fields(request, limit=MAX_BODY)), self._portfolio)
        )
        self._service.keys.forget()
        return admin_answer(describe_key(key))

    async def revoke_key(self, request: Request) -> Response:
        key = await self._store().revoke(request.path_params["name"])
        self._service.keys.forget()
        return admin_answer(describe_key(key))

    async def rotate_key(self, request: Request) -> Response:
        """The answer has the new key itself, once. `overlap`: how long the old one is accepted too, seconds."""
        overlap = (await body_fields(request, limit=MAX_BODY)).get("overlap", self._portfolio.settings.rotate_overlap)
        if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 0 <= overlap <= 31_536_000:
            raise InvalidRequest("`overlap` must be a number of seconds from 0 to 31536000.", param="overlap")
        key, secret = await self._store().rotate(request.path_params["name"], overlap)
        self._service.keys.forget()
        return admin_answer(describe_key(key) | {"key": secret.reveal()})

    async def list_teams(self, request: Request) -> Response:
        listed = [describe_file_team(team) for team in self._portfolio.access.teams]
        if self._service.key_store is not None:
            listed += [describe_team(team) for team in await self._service.key_store.teams()]
        return admin_answer({"object": "list", "data": listed})

    async def create_team(self, request: Request) -> Response:
        team = await self._store().create_team(
            checked_entry(TeamEntry, await body_fields(request, limit=MAX_BODY), self._portfolio)
        )
        self._service.keys.forget()
        return admin_answer(describe_team(team), 201)

    async def show_team(self, request: Request) -> Response:
        name = request.path_params["name"]
        for team in self._portfolio.access.teams:
            if name == team.name:
                return admin_answer(describe_file_team(team))
        return admin_answer(describe_team(await self._store().team(name)))

    async def change_team(self, request: Request) -> Response:
        """Changes the fields that are sent; null gives a field its default."""
        store = self._store()
        old = await store.team(request.path_params["name"])
        fields = _changed(access_fields(old.access), await body_fields(request, limit=MAX_BODY))
        team = await store.change_team(old.name, checked_entry(AccessEntry, fields, self._portfolio))
        self._service.keys.forget()
        return admin_answer(describe_team(team))

    async def delete_team(self, request: Request) -> Response:
        team = await self._store().delete_team(request.path_params["name"])
        self._service.keys.forget()
        return admin_answer(describe_team(team))

    def _store(self) -> KeyStore:
        if self._service.key_store is None:
            raise NotFound("The gateway has no database for keys: set `record` or `store` under `gateway` in its file.")
        return self._service.key_store


def _changed(fields: JsonObject, given: JsonObject) -> JsonObject:
    merged = fields | given
    return {name: value for name, value in merged.items() if value is not None}
