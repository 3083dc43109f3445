"""The deployments that may answer one request, in the order in which they are called; each is given once."""

import random
from collections.abc import Callable, Generator, Iterable, Iterator

from gateway.answering.attempts import Attempt
from gateway.deployments.live import LiveDeployment
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

Target = tuple[Candidate, LiveDeployment]


class CallOrder:
    """An iterator. It reads candidates only as far as needed, because most requests need only the first.

    Args:
        candidates: the models that may answer, the best first.

    Attributes:
        candidates: those that have been read.
        skipped: the deployments of the first one that could not be called when it was read.
    """

    def __init__(
        self, request: Request, candidates: Iterable[Candidate], clock: Callable[[], float], rng: random.Random
    ) -> None:
        self.candidates: list[Candidate] = []
        self.skipped: list[Attempt] = []
        self._request = request
        self._clock = clock
        self._rng = rng
        self._walk = self._available(candidates)
        self._next: Target | None = None
        self._given: set[str] = set()
        self._overrun_window = 0  # the largest context window that the prompt did not fit

    def __iter__(self) -> Iterator[Target]:
        return self

    def __next__(self) -> Target:
        following, self._next = self._next, None
        if following is None or not self._may_be_called(*following):  # its state may have changed since `more`
            following = next(self._walk)
        self._given.add(following[1].spec.id)
        return following

    def more(self) -> bool:
        """Return True if there is a next one."""
        if self._next is None:
            self._next = next(self._walk, None)
        return self._next is not None

    def left(self) -> bool:
        """Return True if a deployment has not been given yet, including those of the last resort."""
        return self.more() or bool(self.last_resort())

    def overran(self, candidate: Candidate, stated: int | None) -> None:
        """Notes that the prompt is longer than a deployment's context window, so that models with smaller ones are skipped.

        Args:
            stated: the window in the provider's words; None if they have none. It may be smaller than the model's: a server may be
                started with less, and then a model of the same window may still hold the prompt.
        """
        spec = candidate.model.spec
        known = [
            window for window in (stated, spec.context_window if spec.window_known else None) if window is not None
        ]
        self._overrun_window = max(self._overrun_window, min(known, default=0))

    def last_resort(self) -> list[Target]:
        """The deployments that were skipped as busy, cooling down or taken out, the likeliest to answer first.

        To refuse a client because all deployments are cooling down would turn one bad minute into a long outage. Deployments
        whose key, model or account the provider has refused twice are not among them, nor those at a limit of the portfolio.
        """
        now = self._clock()
        left = [
            (candidate, live)
            for candidate in self.candidates
            if self._fits(candidate)
            for live in candidate.model.deployments
            if live.spec.id not in self._given and not live.useless_to_call and self._serves(candidate, live)
        ]
        if left and left[0][0].single:
            left = [] if self._given else left[:1]
        left = [
            (candidate, live)
            for candidate, live in left
            if not live.at_limit or (live.limits.busy and live.breaker.available(now))
        ]
        return sorted(left, key=lambda call: (not call[1].limits.busy, call[1].breaker.taken_out))

    def give(self, call: Target) -> None:
        """Notes that a deployment of the last resort is called."""
        self._given.add(call[1].spec.id)

    def not_called(self, call: Target) -> None:
        """Notes that a deployment that was given could not be called, at one of its own limits. A busy one may be waited for."""
        candidate, live = call
        if not candidate.stand_in and all(live.spec.id != skipped.deployment for skipped in self.skipped):
            self._note_skipped(candidate, live)
        if live.limits.busy:
            self._given.discard(live.spec.id)

    def close(self) -> None:
        """Closes the generator of candidates; suspended, it would keep the request until the garbage collector runs."""
        self._walk.close()

    def _available(self, candidates: Iterable[Candidate]) -> Generator[Target, None, None]:
        for candidate in candidates:
            self.candidates.append(candidate)
            if candidate.barred:
                continue
            ready = candidate.model.callable_deployments(self._rng)
            if not candidate.stand_in and len(ready) < len(candidate.model.deployments):
                for live in candidate.model.deployments:
                    if live not in ready:
                        self._note_skipped(candidate, live)
            for live in ready:
                if self._may_be_called(candidate, live):  # the deployment before it may have taken long
                    yield candidate, live
                    if candidate.single:
                        return

    def _note_skipped(self, candidate: Candidate, live: LiveDeployment) -> None:
        cause, reason = live.not_called_because()
        self.skipped.append(Attempt(candidate, live.spec.id, cause, None, 0.0, reason=reason, called=False))

    def _may_be_called(self, candidate: Candidate, live: LiveDeployment) -> bool:
        return live.unavailable() is None and self._fits(candidate) and self._serves(candidate, live)

    def _serves(self, candidate: Candidate, live: LiveDeployment) -> bool:
        return live.can_serve(self._request.requirements, named=candidate.named)

    def _fits(self, candidate: Candidate) -> bool:
        """Return True if the model's window may be larger than those that the prompt did not fit."""
        spec = candidate.model.spec
        return not candidate.barred and (spec.context_window > self._overrun_window or not spec.window_known)
