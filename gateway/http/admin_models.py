"""`/admin/models`: the portfolio's models with the versions of their embeddings and their states. The edge has checked that the
operator asks.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.portfolio import Model
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.json_types import JsonObject
from gateway.http.admin_values import admin_answer
from gateway.http.body_fields import body_fields
from gateway.http.service import Service
from gateway.model_versions.description import describe_state, describe_version
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.states import MOST_REASON, OF_DEPLOYMENTS, SETTABLE
from gateway.model_versions.stored import InUse


class AdminModels:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """All routes of models."""
        return [
            Route("/admin/models", self.list_models, methods=["GET"]),
            Route("/admin/models/{name:path}/history", self.history, methods=["GET"]),
            Route("/admin/models/{name:path}/rollback", self.roll_back, methods=["POST"]),
            Route("/admin/models/{name:path}/state", self.set_state, methods=["POST"]),
        ]

    async def list_models(self, request: Request) -> Response:
        """Every chat model of the portfolio, in its order."""
        in_use = InUse() if self._service.models is None else await self._service.models.in_use()
        models = self._service.in_force.portfolio.models
        return admin_answer({"object": "list", "data": [self._describe(model, in_use) for model in models]})

    async def history(self, request: Request) -> Response:
        """The versions of a model and of its deployments, the newest first."""
        model = self._model(request)
        versions = await self._versions().history(model.name)
        return admin_answer({"object": "list", "data": [describe_version(version) for version in versions]})

    async def roll_back(self, request: Request) -> Response:
        """Uses an earlier version: `version`, or without one the version before the present one; 0: that of the model spaces."""
        model, versions = self._model(request), self._versions()
        fields = await body_fields(request, {"version", "deployment"})
        deployment = _deployment(fields, model)
        if "version" not in fields:
            await versions.roll_back(model.name, deployment)
        else:
            number = fields["version"]
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InvalidRequest("`version` must be the number of a version, or 0.", param="version")
            await versions.make_live(model.name, number or None, deployment)
        return await self._changed(model)

    async def set_state(self, request: Request) -> Response:
        """Sets the state of a model, or of one of its deployments."""
        model, versions = self._model(request), self._versions()
        fields = await body_fields(request, {"state", "reason", "deployment"})
        deployment = _deployment(fields, model)
        settable = SETTABLE if deployment is None else OF_DEPLOYMENTS
        state = next((one for one in settable if one == fields.get("state")), None)
        if state is None:
            of = "" if deployment is None else " of a deployment"
            raise InvalidRequest(f"`state`{of} must be one of {', '.join(settable)}.", param="state")
        reason = fields.get("reason", "set by the operator")
        if not isinstance(reason, str) or len(reason) > MOST_REASON:
            raise InvalidRequest(f"`reason` must be a text of at most {MOST_REASON} characters.", param="reason")
        await versions.set_state(model.name, state, reason, deployment=deployment)
        return await self._changed(model)

    async def _changed(self, model: Model) -> Response:
        """Puts a change in force in this process at once, and describes the model as it is now."""
        if self._service.model_watch is not None:
            await self._service.model_watch.look()
        in_force = self._service.in_force
        now = next((one for one in in_force.portfolio.models if one.name == model.name), model)
        return admin_answer(self._describe(now, in_force.in_use))

    def _describe(self, model: Model, in_use: InUse) -> JsonObject:
        in_force = self._service.in_force
        standing = in_force.standings[model.name]
        of_model = in_use.states.get(model.name)
        shown = describe_state(of_model)
        evaluations = None
        if model.embedding is not None and standing.relative is None:
            (row,) = in_force.router.space.rows([model.embedding])
            evaluations = in_force.router.space.evaluations[row]
        return {
            "name": model.name,
            **shown,
            "state": standing.state,
            "reason": standing.reason or shown["reason"],
            "effect": standing.why or None,
            "embedding": standing.shown(model.embedding),
            "version": standing.version,
            "evaluations": evaluations,
            "deployments": [_of_deployment(in_use, model.name, one.id) for one in model.deployments],
        }

    def _model(self, request: Request) -> Model:
        name = request.path_params["name"]
        found = next((model for model in self._service.in_force.portfolio.models if model.name == name), None)
        if found is None:
            raise NotFound(f"The portfolio has no chat model `{name}`.")
        return found

    def _versions(self) -> ModelVersions:
        if self._service.models is None:
            raise NotFound(
                "The gateway has no database for models: set `record` or `store` under `gateway` in its file."
            )
        return self._service.models


def _of_deployment(in_use: InUse, model: str, id: str) -> JsonObject:
    """A deployment, with its state and the version of an embedding of its own."""
    version = in_use.versions_of_deployments.get((model, id))
    state = describe_state(in_use.of_deployments.get((model, id)))
    del state["trial"]
    return {"id": id, **state, "version": None if version is None else version.version}


def _deployment(fields: JsonObject, model: Model) -> str | None:
    """The deployment that a request names; None if it means the model."""
    deployment = fields.get("deployment")
    if deployment is None:
        return None
    known = [one.id for one in model.deployments]
    if not isinstance(deployment, str) or deployment not in known:
        raise InvalidRequest(f"`deployment` must be one of {', '.join(known)}.", param="deployment")
    return deployment
