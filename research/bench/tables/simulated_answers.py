"""Answers simulated from scores: which models answer a query alike, where the data have scores but no answers.

Right answers are all alike. Two wrong answers are alike with a stated probability, and three by the same urn: a wrong model repeats
the answer of an earlier wrong model, or gives one of the query's other wrong answers. What the simulation cannot know: which models
err alike, right answers in other words that do not count as equal, and answers that nothing can be read from.
"""

import re
from math import inf

import numpy as np
from numpy.typing import NDArray

# Program code and prose, which are not voted on. Each name is a benchmark, or a task within one of several tasks.
FREE = frozenset(
    {
        "alpaca_eval",
        "humaneval",
        "humaneval_js",
        "mbpp",
        "mbpp_routerbench",
        "llmrouter/mbpp",
        "llmrouter/human_eval",
        "llmrouter/commongen",
        "routerarena/LiveCodeBench",
        "sql_understanding",
        "sql_dialect_conversion",
        "sql_optimization",
        "analytics_sql",
        "abap_code",
        "project_euler",
        "process_mining",
        "process_mining_3",
        "process_facts",
        "ja_elyza_tasks",
        "ja_tengu_bench",
        "ja_rakuda",
        "ja_mt_bench",
        "mcp_agent",
        "misguided_attention",
        "creative_writing",
    }
)
# Wrong options where the prompt does not show them with letters: cloze forms of four options, and a numbered list of eight.
WRONG_OPTIONS = {"arc_easy_cloze": 3, "arc_challenge_cloze": 3, "theme_pick": 7}
OPTION = re.compile(r"^\s*\(?([A-P])[.):、]", re.MULTILINE)


def is_free(benchmark: str, category: str) -> bool:
    """True for tasks whose answers are program code or prose, so that no two of them count as the same answer."""
    return benchmark in FREE or f"{benchmark}/{category}" in FREE


def wrong_answers(benchmark: str, prompt: str) -> float:
    """How many different wrong answers a query has: its options less one, or infinitely many where it shows none."""
    if benchmark in WRONG_OPTIONS:
        return WRONG_OPTIONS[benchmark]
    letters = set(OPTION.findall(prompt))
    return len(letters) - 1 if {"A", "B"} <= letters else inf


def concentration(alike: float, wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many answers an urn holds at first, so that two drawn from it are alike with probability `alike`, (n,).

    With W wrong answers two wrong models agree with probability 1/W at least; a smaller `alike` means that.

    Args:
        alike: in [0, 1).
        wrong: how many different wrong answers there are, (n,), at least 1, or infinite.
    """
    excess = alike - 1 / wrong
    return np.where(excess > 0, (1 - alike) / np.where(excess > 0, excess, 1.0), inf)


def draw_answers(
    scores: NDArray[np.float64], wrong: NDArray[np.float64], alike: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The answer of each model to each query in one draw, (M, n): 0 is right, each other number is one wrong answer.

    A fractional score is the probability of a right answer.

    Args:
        scores: (M, n); NaN where a model did not answer, which counts as wrong.
        wrong: how many different wrong answers each query has, (n,); NaN counts as infinitely many.
        alike: the probability that two wrong answers are the same.
    """
    models, queries = scores.shape
    wrong = np.where(np.isnan(wrong), inf, wrong)
    urn, columns = concentration(alike, wrong), np.arange(queries)
    right = rng.random(scores.shape) < np.nan_to_num(scores)
    answers = np.zeros(scores.shape, np.int64)
    given = np.zeros((models, queries), np.int64)  # the wrong answers so far, without gaps
    count = np.zeros(queries, np.int64)
    for m in range(models):
        repeats = rng.random(queries) * (count + urn) < count
        earlier = given[(rng.random(queries) * np.maximum(count, 1)).astype(np.int64), columns]
        option = 1 + (rng.random(queries) * np.where(np.isfinite(wrong), wrong, 1)).astype(np.int64)
        new = np.where(np.isfinite(wrong), option, 1 + m)
        answer = np.where(repeats, earlier, new)
        errs = ~right[m]
        answers[m, errs] = answer[errs]
        given[count[errs], columns[errs]] = answer[errs]
        count += errs
    return answers
