"""How long and how fast the answers of each model usually are, from the record."""

from collections import defaultdict
from statistics import median

from gateway.replay.logged import Log

ANSWERS = 20  # as many answers of average length are added to those of a model, and fewer say nothing of its speed


class Usual:
    """Usual answers by model name.

    Args:
        log: the requests of the period.
    """

    def __init__(self, log: Log) -> None:
        tokens: defaultdict[str, list[int]] = defaultdict(list)
        times: defaultdict[str, list[float]] = defaultdict(list)
        for chunk in log.answers():
            for served, completion_tokens, latency_ms in chunk:
                if completion_tokens is not None:
                    tokens[served].append(completion_tokens)
                if latency_ms is not None:
                    times[served].append(latency_ms)
        total, count = sum(map(sum, tokens.values())), sum(map(len, tokens.values()))
        mean = total / count if count else 0.0
        self._mean = mean
        self._tokens = {name: (sum(known) + ANSWERS * mean) / (len(known) + ANSWERS) for name, known in tokens.items()}
        self._ms = {name: median(known) for name, known in times.items() if len(known) >= ANSWERS}

    def longer(self, model: str, than: str) -> float:
        """How much longer the answers of one model are than those of another, as a factor; 1 where nothing is known."""
        other = self._tokens.get(than, self._mean)
        return self._tokens.get(model, self._mean) / other if other else 1.0

    def ms(self, model: str) -> float:
        """The median time until the end of an answer; NaN if the model has answered too seldom."""
        return self._ms.get(model, float("nan"))
