"""What happens when a deployment is found to answer otherwise: an event, a log message, a webhook, and the state of the model."""

import logging
from collections.abc import Awaitable, Callable

from gateway.config.drift import DriftEntry
from gateway.drift.store import DriftStore, Event
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.states import State

log = logging.getLogger("locus.drift")

STATES: dict[str, State] = {"suspect": "suspect", "quarantine": "quarantined"}
Send = Callable[[str, dict[str, object]], Awaitable[None]]


class Alarms:
    """Tells of events.

    Args:
        versions: has the states of models.
        send: sends an event to a webhook; raises nothing.
        count: counts an event, by model, deployment and kind.
    """

    def __init__(
        self, store: DriftStore, versions: ModelVersions, send: Send, count: Callable[[str, str, str], None]
    ) -> None:
        self._store = store
        self._versions = versions
        self._send = send
        self._count = count

    async def tell(self, event: Event, entry: DriftEntry) -> None:
        """Keeps an event, tells of it, and after a change of the answers sets the state of the deployment.

        Raises:
            StoreUnavailable: the database cannot be used; nothing was told.
        """
        event = await self._store.tell(event)
        self._count(event.model, event.deployment, event.kind)
        state = STATES.get(entry.then) if event.kind == "changed" else None
        if state is not None:  # the change of state is logged
            await self._versions.set_state(event.model, state, event.words, deployment=event.deployment)
        else:
            log.warning("deployment %s of %s: %s", event.deployment, event.model, event.words)
        if entry.webhook is not None:
            await self._send(entry.webhook.reveal(), {"object": "drift.event", **event.fields()})
