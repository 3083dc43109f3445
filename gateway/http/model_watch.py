"""Watches the versions and states of models in the database, and puts changes in force: those of this process and of all others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import InUse
from gateway.routing.trials import Trials
from router.errors import RouterError

log = logging.getLogger("locus.models")

FILE_S, SERVER_S = 2.0, 10.0  # between two looks at an SQLite file, and at a server that many gateways may share
START_S = 2.0  # longest wait for the database before the first request


class ModelWatch:
    """Looks for changes from time to time. Use as an async context manager; what is in use when it is entered is in force then.

    While the database does not answer, nothing changes.

    Args:
        apply: puts versions and states in force; returns the models whose trial is over, with the reason.
        trials: whose served requests are written to the database.
        interval_s: between two looks.
        start_s: longest wait when it is entered.
    """

    def __init__(
        self,
        versions: ModelVersions,
        apply: Callable[[InUse], Awaitable[Mapping[str, str]]],
        trials: Trials,
        interval_s: float,
        start_s: float = START_S,
    ) -> None:
        self._versions = versions
        self._apply = apply
        self._trials = trials
        self._interval_s = interval_s
        self._start_s = start_s
        self._seen: object = ()  # of a database without versions and states
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.away: str | None = None

    async def __aenter__(self) -> "ModelWatch":
        first = asyncio.create_task(self._look_safely(), name="model versions, first look")
        await asyncio.wait([first], timeout=self._start_s)
        self._task = asyncio.create_task(self._watch(first), name="model versions")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._write_served()

    async def look(self) -> None:
        """Puts changes in force now.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        async with self._looking:
            token = await self._versions.change_token()
            if token != self._seen:
                over = await self._apply(await self._versions.in_use())
                self._seen = token
                for model, reason in over.items():
                    await self._versions.end_trial(model, reason)

    async def _watch(self, first: asyncio.Task[None]) -> None:
        await first
        while True:
            await asyncio.sleep(self._interval_s)
            await self._write_served()
            await self._look_safely()

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except StoreUnavailable as exc:
            if self.away is None:
                log.warning("versions and states of models stay as they are: %s", exc.message)
            self.away = exc.message
        except RouterError as exc:
            log.warning("versions and states of models stay as they are: %s", exc)
        except Exception as exc:  # a defect; requests are served as before
            log_exception(log, "versions and states of models stay as they are", exc)
        else:
            self.away = None

    async def _write_served(self) -> None:
        served = self._trials.take_served()
        if not served:
            return
        try:
            await self._versions.count_requests(served)
        except StoreUnavailable:
            self._trials.give_back(served)
