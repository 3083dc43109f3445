"""Unknown keys cost a look-up each, and an address may send only so many of them."""

import pytest

from gateway.core.errors import RateLimited
from gateway.keys.lookups import BURST, MOST, PER_S, Lookups
from tests.gateway.live import Time


def test_an_address_has_a_burst_and_then_a_rate() -> None:
    clock = Time()
    lookups = Lookups(clock)
    for _ in range(BURST):
        lookups.take("192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        lookups.take("192.0.2.1")
    assert refused.value.headers["retry-after"] == "1"
    lookups.take("192.0.2.2")  # another one is not at fault
    clock.now += 2.5 / PER_S
    lookups.take("192.0.2.1")
    lookups.take("192.0.2.1")
    with pytest.raises(RateLimited):
        lookups.take("192.0.2.1")


def test_ids_that_have_a_key_cost_nothing() -> None:
    lookups = Lookups(Time())
    for _ in range(3 * BURST):
        lookups.take("192.0.2.1")
        lookups.give_back("192.0.2.1")


def test_so_many_addresses_are_remembered() -> None:
    lookups = Lookups(Time())
    for _ in range(BURST):
        lookups.take("first")
    for number in range(MOST):
        lookups.take(str(number))
    lookups.take("first")  # forgotten


def test_an_address_that_is_forgotten_while_its_id_is_looked_up_gets_nothing_back() -> None:
    lookups = Lookups(Time())
    lookups.take("first")
    for number in range(MOST):
        lookups.take(str(number))
    lookups.give_back("first")
    for _ in range(BURST):
        lookups.take("first")
    with pytest.raises(RateLimited):
        lookups.take("first")
