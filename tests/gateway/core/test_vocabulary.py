"""Names and numbers that the gateway and the router's commands must use in the same sense."""

from typing import get_args

from gateway.config.litellm_table import CAPABILITIES
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS, OUTPUT_CAPABILITIES, Capability
from router.commands import portfolio


def test_the_gateway_and_the_portfolio_command_expect_answers_of_one_length() -> None:
    assert portfolio.EXPECTED_OUTPUT_TOKENS == EXPECTED_OUTPUT_TOKENS


def test_each_capability_has_a_flag_in_litellms_table() -> None:
    assert list(CAPABILITIES.values()) == list(get_args(Capability))
    assert set(OUTPUT_CAPABILITIES.values()) <= set(get_args(Capability))
