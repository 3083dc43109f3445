"""How long the answers of each model are, from the newest of them. Kept in memory: after a start they are not known."""

from collections import deque

KNOWN = 200  # answers from which a quantile is taken
KEPT = 1_000  # newest answers of each model
RENEW = 20  # new answers after which the quantile is computed again
QUANTILE = 0.95


class OutputLengths:
    """The output tokens of recent answers, by model."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def add(self, model: str, tokens: int) -> None:
        """Adds an answer whose usage the provider reported."""
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model()
        known.add(tokens)

    def expected(self, model: str) -> int | None:
        """The 95% quantile of a model's output tokens; None while too few answers are known."""
        known = self._models.get(model)
        return None if known is None else known.quantile


class _Model:
    __slots__ = ("_lengths", "_new", "quantile")

    def __init__(self) -> None:
        self._lengths: deque[int] = deque(maxlen=KEPT)
        self._new = 0
        self.quantile: int | None = None

    def add(self, tokens: int) -> None:
        self._lengths.append(tokens)
        self._new += 1
        if self._new >= RENEW and len(self._lengths) >= KNOWN:
            self._new = 0
            self.quantile = sorted(self._lengths)[int(QUANTILE * len(self._lengths))]
