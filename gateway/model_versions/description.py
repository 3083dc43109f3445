"""Versions and states as JSON: for the admin endpoints and for commands."""

from datetime import UTC, datetime

from gateway.core.json_types import JsonObject
from gateway.model_versions.stored import ModelState, Trial, Version


def describe_version(version: Version) -> JsonObject:
    """A version without its embedding."""
    return {
        "version": version.version,
        "model": version.model,
        "deployment": version.deployment,
        "live": version.live,
        "source": version.source,
        "note": version.note,
        "evaluations": version.evaluations,
        "time": _time(version.time),
        "checkpoint": version.checkpoint,
    }


def describe_state(state: ModelState | None) -> JsonObject:
    """State, reason and time; a model whose state was never set has no time."""
    if state is None:
        return {"state": "live", "reason": None, "since": None, "trial": None}
    trial = None if state.trial is None else _describe_trial(state.trial, state.served)
    return {"state": state.state, "reason": state.reason or None, "since": _time(state.since), "trial": trial}


def _describe_trial(trial: Trial, served: int) -> JsonObject:
    return {
        "share": trial.share,
        "requests": trial.requests,
        "served": served,
        "target_error": trial.target_error,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
