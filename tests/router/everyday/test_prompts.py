"""The everyday prompts themselves: as many as the tests of order assume, and none twice."""

from collections import Counter

from tests.router.everyday.prompts import everyday_pairs


def test_there_are_thirty_english_pairs_and_fifteen_in_other_languages() -> None:
    languages = Counter(pair.language for pair in everyday_pairs())
    assert languages["en"] == 30
    assert languages.total() == 45
    assert len(languages) >= 10


def test_no_prompt_occurs_twice() -> None:
    prompts = [prompt for pair in everyday_pairs() for prompt in (pair.easy, pair.hard)]
    assert len({prompt.casefold() for prompt in prompts}) == len(prompts)
    assert all(prompt.strip() == prompt for prompt in prompts)
