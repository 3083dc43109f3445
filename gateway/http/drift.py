"""Drift of the deployments of a running service: the watcher, and `GET /admin/drift`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.core.errors import NotFound
from gateway.drift.alarm import Alarms
from gateway.drift.store import DriftStore, watch_fields
from gateway.drift.watcher import DriftWatcher
from gateway.drift.webhook import send
from gateway.http.admin_values import admin_answer
from gateway.http.onboarding import probe_calls
from gateway.http.service import Service


def drift_watcher(service: Service) -> DriftWatcher | None:
    """Watches the deployments of a service; None if it has no database."""
    database, versions = service.database, service.models
    if database is None or versions is None:
        return None
    store, metrics = DriftStore(database), service.metrics
    return DriftWatcher(
        store,
        versions,
        probe_calls(service),
        Alarms(store, versions, send, metrics.drift_event),
        lambda: service.in_force.portfolio,
        lambda: service.in_force.deployments,
        lambda: service.in_force.file_router,
        service.replicas.leads,
        lambda model, deployment, suspect: metrics.drift_suspect(model, deployment, suspect=suspect),
    )


class AdminDrift:
    """The endpoint. The edge has checked that the operator asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        return [Route("/admin/drift", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """The deployments that are watched, and the newest events.

        Raises:
            NotFound: the gateway has no database.
            StoreUnavailable: the database cannot be used.
        """
        if self._service.database is None:
            raise NotFound("The gateway has no database: set `record` or `store` under `gateway` in its file.")
        store = DriftStore(self._service.database)
        watches, events, states = await store.watches(), await store.events(), await store.states()
        data = [watch_fields(watch, states) for watch in watches.values()]
        body = {"object": "list", "data": data, "events": [event.fields() for event in events]}
        return admin_answer(body)
