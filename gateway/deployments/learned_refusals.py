"""What a deployment has turned out not to take: optional fields, whole API formats, going on from an assistant's message.

One client's request teaches it and the requests of all clients heed it. So only what a retry has proved may be noted, and
nothing is believed for ever.
"""

from collections.abc import Callable

LEARNED_S = 3600.0
NOTHING: frozenset[str] = frozenset()


class LearnedRefusals:
    """Names, each believed for an hour after it was last noted.

    Args:
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_ends", "_names", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._names = NOTHING
        self._ends = 0.0  # when the first of them is forgotten

    @property
    def names(self) -> frozenset[str]:
        """Those that are believed now."""
        if self._until and self._clock() >= self._ends:
            now = self._clock()
            self._until = {name: until for name, until in self._until.items() if now < until}
            self._count()
        return self._names

    def note(self, name: str) -> None:
        """A retry without it has succeeded."""
        self._until[name] = self._clock() + LEARNED_S
        self._count()

    def _count(self) -> None:
        self._names = frozenset(self._until)
        self._ends = min(self._until.values(), default=0.0)
