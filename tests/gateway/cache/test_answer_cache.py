"""The limits of the cache: time, memory and the size of one answer."""

from gateway.cache.answer_cache import AnswerCache
from gateway.cache.entry import OVERHEAD_BYTES, Entry, Origin, Templates
from gateway.config.settings import CacheSettings
from gateway.request.last_answer import LastAnswer
from tests.gateway.live import Time

ORIGIN = Origin("m", None, None, (), None, None, LastAnswer(""))


def entry(size: int, clock: Time, ttl_s: float = 60.0) -> Entry:
    return Entry(Templates(b"x" * (size - OVERHEAD_BYTES)), ORIGIN, clock(), ttl_s)


def cache(clock: Time, kb: float, entry_kb: float = 1000) -> AnswerCache:
    return AnswerCache(clock, CacheSettings(max_mb=kb / 1024, max_entry_kb=entry_kb))


def test_an_answer_is_kept_for_its_time() -> None:
    clock = Time()
    answers = cache(clock, 100)
    assert answers.put(b"a", entry(3000, clock, ttl_s=10))
    clock.now += 9.9
    assert answers.get(b"a") is not None
    clock.now += 0.1
    assert answers.get(b"a") is None
    assert (len(answers), answers.bytes) == (0, 0)


def test_the_least_recently_used_answer_is_removed_first() -> None:
    clock = Time()
    answers = cache(clock, 10)
    for key in (b"a", b"b", b"c"):
        answers.put(key, entry(3000, clock))
    assert answers.get(b"a") is not None
    answers.put(b"d", entry(3000, clock))
    assert [answers.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert answers.bytes == 9000


def test_an_answer_in_place_of_another_one_counts_once() -> None:
    clock = Time()
    answers = cache(clock, 10)
    for size in (3000, 4000, 2500):
        answers.put(b"a", entry(size, clock))
    assert (len(answers), answers.bytes) == (1, 2500)


def test_a_large_answer_is_not_stored() -> None:
    clock = Time()
    answers = cache(clock, 100, entry_kb=4)
    assert not answers.put(b"a", entry(5000, clock))
    assert not len(answers)


def test_smaller_limits_remove_answers_and_none_removes_all() -> None:
    clock = Time()
    answers = cache(clock, 10)
    for key in (b"a", b"b", b"c"):
        answers.put(key, entry(3000, clock))
    answers.apply(CacheSettings(max_mb=4 / 1024))
    assert len(answers) == 1
    assert answers.get(b"c") is not None
    answers.apply(None)
    assert (len(answers), answers.bytes) == (0, 0)
    assert not answers.put(b"a", entry(3000, clock))
