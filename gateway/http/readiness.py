"""The report of `GET /health/ready`: which models and deployments can be called now, and why others cannot."""

from gateway.deployments.live import LiveModel
from gateway.http.service import Service
from gateway.record.recorder import Recorder


def readiness(service: Service) -> dict[str, object]:
    """The report; its `status` is "ready" if at least one chat model can be called."""
    in_force = service.in_force
    models = {name: _availability(live) for name, live in in_force.deployments.models.items()}
    ready = any(model["available"] for model in models.values())
    return {
        "status": "ready" if ready else "no model available",
        "simulated": in_force.portfolio.simulated,
        "portfolio_since": in_force.since.isoformat(),
        "reload_error": service.reload_error,
        "record": _record_state(service.recorder),
        "models": models,
        "embedding_models": {name: _availability(live) for name, live in in_force.deployments.embedding_models.items()},
    }


def _record_state(recorder: Recorder) -> dict[str, object]:
    """Whether records are written; requests go on if they are not."""
    state: dict[str, object] = {"pending": recorder.pending, "lost": recorder.lost}
    if recorder.failure is None:
        return state | {"status": "written"}
    return state | {"status": "waiting", "reason": recorder.failure, "oldest_s": round(recorder.oldest_s, 1)}


def _availability(live: LiveModel) -> dict[str, object]:
    deployments = {d.spec.id: d.unavailable() or "available" for d in live.deployments}
    return {"available": live.unavailable() is None, "deployments": deployments}
