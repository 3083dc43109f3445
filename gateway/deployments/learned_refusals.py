"""Remembers what a deployment has refused: optional fields, API formats, the continuation of an assistant message.

The request of one client teaches it, and the requests of all clients are sent accordingly. So only a refusal that a successful
retry has proved is noted, and each is forgotten after a time.
"""

from collections.abc import Callable

LEARNED_S = 3600.0
NOTHING: frozenset[str] = frozenset()


class LearnedRefusals:
    """Names, each kept for `LEARNED_S` after it was last noted.

    Args:
        clock: monotonic seconds.

    Attributes:
        tell: called with each name that is noted.
    """

    __slots__ = ("_clock", "_ends", "_names", "_until", "tell")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.tell: Callable[[str], None] = lambda name: None
        self._clock = clock
        self._until: dict[str, float] = {}
        self._names = NOTHING
        self._ends = 0.0  # the time when the first of them is forgotten

    @property
    def names(self) -> frozenset[str]:
        """The names that are in force now."""
        if self._until and self._clock() >= self._ends:
            now = self._clock()
            self._until = {name: until for name, until in self._until.items() if now < until}
            self._refresh()
        return self._names

    def note(self, name: str) -> None:
        """Notes a name: a call without it has succeeded after one with it was refused."""
        self.take_over(name, LEARNED_S)
        self.tell(name)

    def take_over(self, name: str, seconds: float) -> None:
        """Notes a name that another gateway has noted, for this many seconds."""
        self._until[name] = max(self._until.get(name, 0.0), self._clock() + seconds)
        self._refresh()

    def _refresh(self) -> None:
        self._names = frozenset(self._until)
        self._ends = min(self._until.values(), default=0.0)
