"""The judged requests that the general term learns from."""

import numpy as np

from router.train.requests import LEVELS, judged_requests
from tests.router.everyday.prompts import everyday_pairs


def test_every_level_has_requests_and_no_request_occurs_twice() -> None:
    requests = judged_requests()
    assert len(requests.prompts) == len(requests.levels) == len({prompt.casefold() for prompt in requests.prompts})
    assert np.bincount(requests.levels, minlength=6)[1:].min() >= 50
    assert set(requests.levels.tolist()) == set(range(1, len(LEVELS) + 1))


def test_a_higher_level_is_more_difficult() -> None:
    requests = judged_requests()
    assert (np.diff(requests.difficulty[np.argsort(requests.levels)]) >= 0).all()


def test_no_request_is_one_of_the_prompts_that_tests_judge_by() -> None:
    judged = {prompt.casefold() for prompt in judged_requests().prompts}
    assert not any(text.casefold() in judged for pair in everyday_pairs() for text in (pair.easy, pair.hard))
