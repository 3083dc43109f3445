"""The wait of one request for a place at deployments whose `max_parallel_requests` is reached."""

from gateway.answering.attempts import Attempts
from gateway.config.settings import LoadSettings
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment


class PlaceWait:
    """Waits `queue_timeout` in all, also if another process takes the place that became free.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, settings: LoadSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._until: float | None = None
        self._had_turn_at: LiveDeployment | None = None

    async def place(self, live: LiveDeployment, attempts: Attempts) -> bool:
        """Waits for a place; False if that takes too long.

        Args:
            attempts: gets the time that passed.
        """
        started = self._clock()
        if self._until is None:
            self._until = started + self._settings.queue_timeout
        if started >= self._until:  # else a place that another process takes each time would be tried for ever
            return False
        again, self._had_turn_at = self._had_turn_at is live, live
        try:
            return await live.limits.wait_for_place(self._until - started, self._settings.max_queued, again=again)
        finally:
            attempts.waited_s += self._clock() - started
