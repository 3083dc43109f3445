"""Versions of the embeddings of a portfolio's models, and how far routing trusts each model. Both are kept in the database, so that
all processes and replicas use the same ones. Knows no HTTP and no routing.
"""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.core.errors import NotFound
from gateway.core.vocabulary import Clock
from gateway.model_versions.states import State
from gateway.model_versions.stored import InUse, ModelState, Source, Trial, Version, arrays_of, states_of
from gateway.store.database import Database
from gateway.store.transactions import reading, writing
from router.model.embedding import Embedding

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger("locus.models")

KEPT = 50  # of a model's versions, those that are refinements; the live one is always kept
ON_TRIAL = Trial()


class ModelVersions:
    """The versions and states in a database.

    Models are named as in the portfolio. All methods raise StoreUnavailable if the database cannot be used.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, database: Database, now: Clock = time.time) -> None:
        self._database = database
        self._now = now

    async def add(
        self,
        model: str,
        embedding: Embedding,
        *,
        checkpoint: str,
        source: Source,
        note: str,
        live: bool,
        deployment: str | None = None,
    ) -> int:
        """Adds a version and returns its number. Refinements that are not live and not among the newest 50 versions of the
        model are deleted.

        Args:
            checkpoint: id of the checkpoint that computed the embedding.
            note: why it was computed, for people.
            live: use it from now on, in place of the version that was live.
            deployment: the id of the deployment that it is for; None: it is for the model, whichever deployment answers.
        """
        of = (model, deployment or "")
        row: dict[str, object] = {"model": model, "deployment": of[1], "checkpoint": checkpoint}
        row |= {"source": source, "note": note, "evaluations": embedding.evaluations}
        row |= {"time": self._now(), "embedding": arrays_of(embedding)}
        async with self._write() as connection:
            from gateway.model_versions import rows

            number = await rows.newest_version(connection, *of) + 1
            await rows.add_version(connection, row | {"version": number, "live": False})
            if live:
                await rows.use_version(connection, *of, number)
            await rows.forget_versions(connection, *of, number - KEPT + 1)
        log.info("%s: version %d added by %s%s: %s", _named(of), number, source, ", live" if live else "", note)
        return number

    async def history(self, model: str, deployment: str | None = None) -> list[Version]:
        """The versions of a model, the newest first.

        Args:
            deployment: only those of this deployment; None: of the model and of all its deployments.
        """
        async with reading(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            return [Version.of(row) for row in await rows.versions(connection, model, deployment)]

    async def make_live(self, model: str, version: int | None, deployment: str | None = None) -> None:
        """Uses a version from now on.

        Args:
            version: None: none of them, but what the model spaces of the portfolio say of the model.

        Raises:
            NotFound: there is no such version.
        """
        of = (model, deployment or "")
        async with self._write() as connection:
            from gateway.model_versions import rows

            if not await rows.use_version(connection, *of, version):
                raise NotFound(f"{_named(of)} has no version {version}.")
        log.info("%s: version %s is live", _named(of), "of the model spaces" if version is None else version)

    async def roll_back(self, model: str, deployment: str | None = None) -> int | None:
        """Uses the last version from now on that was in use and is older than the present one, and returns its number; None: what
        the model spaces say.

        Raises:
            NotFound: no version is in use.
        """
        of = (model, deployment or "")
        async with self._write() as connection:
            from gateway.model_versions import rows

            versions = [Version.of(row) for row in await rows.versions(connection, *of)]
            live = next((one.version for one in versions if one.live), None)
            if live is None:
                raise NotFound(f"{_named(of)} uses no version that could be rolled back.")
            before = max((one.version for one in versions if one.used and one.version < live), default=None)
            await rows.use_version(connection, *of, before)
        log.info("%s: rolled back from version %d to %s", _named(of), live, before or "that of the model spaces")
        return before

    async def live(self) -> dict[str, Version]:
        """The version of each model that is in use. A model that only the model spaces describe is not in it."""
        return {version.model: version for version in await self._live() if version.deployment is None}

    async def live_of_deployments(self) -> dict[tuple[str, str], Version]:
        """The version in use of each deployment that has versions of its own, by model and id of the deployment."""
        return {(version.model, version.deployment): version for version in await self._live() if version.deployment}

    async def in_use(self) -> InUse:
        """The versions in use and the states of all models, as they are at one time."""
        async with reading(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            return InUse.of(await rows.live_versions(connection), await rows.states(connection))

    async def set_state(
        self, model: str, state: State, reason: str, *, deployment: str | None = None, trial: Trial = ON_TRIAL
    ) -> None:
        """Sets how far routing trusts a model, or one of its deployments.

        Args:
            reason: why, for people.
            deployment: the id of the deployment; None: the model.
            trial: how the state "limited" ends; other states do not use it.
        """
        of = (model, deployment or "")
        row: dict[str, object] = {"model": model, "deployment": of[1], "state": state, "reason": reason}
        row |= {"since": self._now(), "share": trial.share, "requests": 0}
        row |= {"most_requests": trial.requests, "target_error": trial.target_error}
        async with self._write() as connection:
            from gateway.model_versions import rows

            await rows.set_state(connection, row)
        level = logging.WARNING if state in ("suspect", "quarantined") else logging.INFO
        log.log(level, "%s is %s: %s", _named(of), state, reason)

    async def states(self) -> dict[str, ModelState]:
        """The states of models that were set. A model without one is live."""
        return {model: state for (model, deployment), state in (await self._states()).items() if not deployment}

    async def states_of_deployments(self) -> dict[tuple[str, str], ModelState]:
        """The states of deployments that were set, by model and id of the deployment."""
        return {of: state for of, state in (await self._states()).items() if of[1]}

    async def count_requests(self, served: Mapping[str, int]) -> None:
        """Adds requests that models have served in the state "limited". A model that has served enough of them is live."""
        async with self._write() as connection:
            from gateway.model_versions import rows

            for model, requests in sorted(served.items()):
                await rows.count_requests(connection, model, requests)
            found = [
                (row["model"], ModelState.of(row)) for row in await rows.states(connection) if not row["deployment"]
            ]
        for model, state in found:
            if (
                model in served
                and state is not None
                and state.trial is not None
                and state.served >= state.trial.requests
            ):
                await self.end_trial(model, f"it has served {state.served} requests on trial")

    async def end_trial(self, model: str, reason: str) -> None:
        """Makes a model live if its state is "limited"; several processes may find at once that its trial is over."""
        async with self._write() as connection:
            from gateway.model_versions import rows

            ended = await rows.end_trial(connection, model, {"state": "live", "reason": reason, "since": self._now()})
        if ended:
            log.info("%s is live: %s", model, reason)

    async def change_token(self) -> object:
        """A value that differs from the one before if versions in use or states have changed since."""
        async with reading(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            return await rows.marks(connection)

    async def _live(self) -> list[Version]:
        async with reading(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            return [Version.of(row) for row in await rows.live_versions(connection)]

    async def _states(self) -> dict[tuple[str, str], ModelState]:
        async with reading(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            return states_of(await rows.states(connection))

    @asynccontextmanager
    async def _write(self) -> AsyncIterator["AsyncConnection"]:
        """A transaction that writes, while no other one does."""
        async with writing(self._database, "model versions") as connection:
            from gateway.model_versions import rows

            await rows.lock(connection)
            yield connection


def _named(of: tuple[str, str]) -> str:
    """A model, or a deployment of it, for people."""
    return f"deployment {of[1]} of {of[0]}" if of[1] else of[0]
