"""The deployments that may answer one request, in the order in which they are asked; each is given once."""

import random
from collections.abc import Callable, Generator, Iterable, Iterator

from gateway.deployments.live import LiveDeployment
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

Call = tuple[Candidate, LiveDeployment]


class CallOrder:
    """An iterator. Models are read only as far as needed: most requests need the first alone.

    Args:
        candidates: the models that come into question, the best first.

    Attributes:
        candidates: as far as they have been read.
    """

    def __init__(
        self, request: Request, candidates: Iterable[Candidate], clock: Callable[[], float], rng: random.Random
    ) -> None:
        self.candidates: list[Candidate] = []
        self._request = request
        self._clock = clock
        self._rng = rng
        self._walk = self._available(candidates)
        self._next: Call | None = None
        self._given: set[str] = set()
        self._too_small = 0  # largest context window that the prompt has already overrun

    def __iter__(self) -> Iterator[Call]:
        return self

    def __next__(self) -> Call:
        following, self._next = self._next, None
        if following is None or not self._may_be_asked(*following):  # it took its time to come to it
            following = next(self._walk)
        self._given.add(following[1].spec.id)
        return following

    def more(self) -> bool:
        """Whether there is a next one."""
        if self._next is None:
            self._next = next(self._walk, None)
        return self._next is not None

    def left(self) -> bool:
        """Whether there is a deployment that has not been given, be it one of the last resort."""
        return self.more() or bool(self.last_resort())

    def overran(self, candidate: Candidate) -> None:
        """The prompt is longer than this model's context window."""
        if candidate.model.spec.window_known:
            self._too_small = max(self._too_small, candidate.model.spec.context_window)

    def last_resort(self) -> list[Call]:
        """Those that were left out as busy, cooling down or taken out, the likeliest to answer first.

        Refusing a client because all deployments are cooling down would turn one bad minute into a long outage. A deployment
        whose key, model or account the provider has refused twice, and one at a limit of the file, are none of them.
        """
        now = self._clock()
        left = [
            (candidate, live)
            for candidate in self.candidates
            if self._fits(candidate)
            for live in candidate.model.deployments
            if live.spec.id not in self._given and not live.hopeless and self._serves(candidate, live)
        ]
        if left and left[0][0].single:
            left = [] if self._given else left[:1]
        left = [
            (candidate, live)
            for candidate, live in left
            if not live.limited or (live.busy and live.breaker.available(now))
        ]
        return sorted(left, key=lambda call: (not call[1].busy, call[1].breaker.taken_out))

    def give(self, call: Call) -> None:
        """One of the last resort is asked."""
        self._given.add(call[1].spec.id)

    def close(self) -> None:
        """Lets go of those that were not needed: suspended, they would hold the request until the garbage collector."""
        self._walk.close()

    def _available(self, candidates: Iterable[Candidate]) -> Generator[Call, None, None]:
        for candidate in candidates:
            self.candidates.append(candidate)
            if candidate.barred:
                continue
            for live in candidate.model.order(self._rng):
                if not self._fits(candidate):
                    break
                if self._may_be_asked(candidate, live):  # the deployment before it may have taken long
                    yield candidate, live
                    if candidate.single:
                        return

    def _may_be_asked(self, candidate: Candidate, live: LiveDeployment) -> bool:
        return live.unavailable() is None and self._fits(candidate) and self._serves(candidate, live)

    def _serves(self, candidate: Candidate, live: LiveDeployment) -> bool:
        return live.serves(self._request.requirements, named=candidate.named)

    def _fits(self, candidate: Candidate) -> bool:
        """Whether the model's window can be larger than those that the prompt has overrun."""
        spec = candidate.model.spec
        return not candidate.barred and (spec.context_window > self._too_small or not spec.window_known)
