"""One call, votes of several models, and what the gateway's ensembles do, on simulated answers: accuracy, calls and USD.

`gateway.ensemble.plan` chooses the members of the gateway's ensembles, and `gateway.ensemble.vote` counts the votes of all rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gateway.config.ensemble import Ensemble
from gateway.ensemble.key import Key
from gateway.ensemble.plan import plan
from gateway.ensemble.vote import Ballot, decided, tally, weight
from gateway.request.chat_request import parse_chat
from gateway.routing.decision import Decision, Scores
from research.bench.tables.simulated_answers import draw_answers
from router.model.policy import Policy, choose

Floats = NDArray[np.float64]
ROUTER, SINGLE, PANEL, CHEAP_FIRST = "router, one call", "best single", "panel", "panel, cheap first"
TOP_3_LAZY = "top 3, third if needed"
UNSURE = 0.6  # the row that votes only where P(correct) is lower
DRAWS = 5
BEST = Policy("panel")
REQUEST = parse_chat(b'{"model": "auto:panel", "messages": [{"role": "user", "content": "?"}]}')


@dataclass(frozen=True)
class Case:
    """One pool with what is known of its queries.

    Attributes:
        scores: (M, n), NaN where a model did not answer: it is no candidate then.
        p: P(correct), (M, n), float32.
        usd: expected price, (M, n); NaN for a model whose price is not known.
        wrong: how many different wrong answers each query has, (n,); NaN for code and prose, which are not voted on.
        mean: each model's mean score on the pool's train queries, (M,): the best single model has the highest.
    """

    name: str
    scores: Floats
    p: NDArray[np.float32]
    usd: Floats
    wrong: Floats
    mean: NDArray[np.float32]

    @cached_property
    def able(self) -> NDArray[np.bool_]:
        """The candidates of each query, (M, n)."""
        return np.asarray(~np.isnan(self.scores) & ~np.isnan(self.p), np.bool_)

    @cached_property
    def ranked(self) -> list[list[int]]:
        """The candidates of each query, the most probable first, of equals the cheaper."""
        order = np.lexsort((np.nan_to_num(self.usd), np.where(self.able, -self.p, np.inf)), axis=0)
        return [column[:k].tolist() for column, k in zip(order.T, self.able.sum(axis=0).tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The models that may be asked for a query, in their order, with their P(correct) and weights.

    The first `first` are asked at once, each further one only if it can change the result.
    """

    models: tuple[int, ...]
    p: tuple[float, ...]
    weights: tuple[float, ...]
    first: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per query, means over draws, (n,) each: share of right answers, calls, and USD (NaN where a price is not known)."""

    right: Floats
    calls: Floats
    usd: Floats


Strategy = Callable[[Case, int], Asked]  # the index of a query -> what is asked


def top(size: int, first: int | None = None, p_below: float = 1.0) -> Strategy:
    """The `size` most probable models, all at once or `first` of them; one model where its P(correct) is not below `p_below`."""

    def strategy(case: Case, query: int) -> Asked:
        ranked = case.ranked[query]
        sure = case.p[ranked[0], query] >= p_below
        return _asked(case, query, ranked[: 1 if sure else size], size if first is None else first)

    return strategy


def single(case: Case, query: int) -> Asked:
    """The best single model; where it did not answer, the next best."""
    return _asked(case, query, [int(np.where(case.able[:, query], case.mean, -np.inf).argmax())], 1)


def planned(ensemble: Ensemble) -> Strategy:
    """What the gateway asks by a policy of best quality with this ensemble."""

    def strategy(case: Case, query: int) -> Asked:
        decision = _decision(case, query)
        found = plan(ensemble, decision, REQUEST).members
        if not found:
            return _asked(case, query, [decision.chosen], 1)
        return Asked(
            tuple(member.model for member in found),
            tuple(member.p_correct for member in found),
            tuple(member.weight for member in found),
            ensemble.first,
        )

    return strategy


ROWS: Mapping[str, Strategy] = {
    ROUTER: top(1),
    SINGLE: single,
    "top 2": top(2),
    "top 3": top(3),
    TOP_3_LAZY: top(3, first=2),
    "top 5": top(5),
    "top 9": top(9),
    f"top 3 where P < {UNSURE}": top(3, first=2, p_below=UNSURE),
    PANEL: planned(Ensemble()),
    CHEAP_FIRST: planned(Ensemble(cheap_first=True)),
}


def outcomes(case: Case, rows: Mapping[str, Strategy], alike: float, draws: int = DRAWS) -> dict[str, Outcome]:
    """The outcome of each row; all rows see the same answers.

    Args:
        alike: the probability that two wrong answers are the same.
        draws: repetitions of the simulation, from fixed seeds.
    """
    asked = {name: [row(case, i) for i in range(len(case.wrong))] for name, row in rows.items()}
    votes = (~np.isnan(case.wrong)).tolist()
    found = {name: np.zeros((3, len(votes))) for name in rows}
    of_pattern = cache(answered)  # few patterns of equal answers occur
    for draw in range(draws):
        rng = np.random.default_rng((draw, crc32(case.name.encode())))
        answers = draw_answers(case.scores, case.wrong, alike, rng).T.tolist()
        for name, of_queries in asked.items():
            for i, one in enumerate(of_queries):
                author, calls = of_pattern(one, _pattern(answers[i], one.models), votes[i])
                usd = case.usd[one.models[:calls], i].sum()
                found[name][:, i] += answers[i][one.models[author]] == 0, calls, usd
    return {name: Outcome(*(sums / draws)) for name, sums in found.items()}


def answered(asked: Asked, answers: Sequence[int], votes: bool) -> tuple[int, int]:
    """Which of the models gives its answer, as an index into `asked.models`, and the number of calls.

    Args:
        answers: of these models; equal numbers are equal answers.
        votes: False: no two answers count as equal. The most probable model's is given, and further ones are asked until it was.
    """
    calls = min(asked.first, len(asked.models))
    if not votes:
        most_probable = int(np.argmax(asked.p))
        return most_probable, max(calls, most_probable + 1)
    keys = [Key("short", str(answer)) for answer in answers]
    ballots = [Ballot(i, *one) for i, one in enumerate(zip(asked.p, asked.weights, keys, strict=True))]
    while not decided(ballots[:calls], asked.weights[calls:]):
        calls += 1
    return tally(ballots[:calls]).author or 0, calls


def _pattern(answers: Sequence[int], models: Sequence[int]) -> tuple[int, ...]:
    """The answers of some models, numbered in the order in which they occur: equal numbers are equal answers."""
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(answers[model], len(numbers)) for model in models)


def _asked(case: Case, query: int, models: Sequence[int], first: int) -> Asked:
    p = tuple(case.p[list(models), query].tolist())
    return Asked(tuple(models), p, tuple(map(weight, p)), first)


def _decision(case: Case, query: int) -> Decision:
    """What the gateway decides by best quality."""
    p, able, usd = case.p[:, query], case.able[:, query], case.usd[:, query]
    priced = ~np.isnan(usd)
    price = np.where(priced, usd, usd[priced].max(initial=0.0))
    error = np.zeros_like(p)
    choice = choose(p, error, price, able, BEST)
    assert choice is not None  # a pool's queries have two candidates
    names = tuple(map(str, range(len(p))))
    scores = Scores(p, error, price, priced, able, 1.0, REQUEST.requirements, embeddings=names)
    return Decision(names, BEST, choice.model, scores, choice=choice)
