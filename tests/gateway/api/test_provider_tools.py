"""Names of tools as headers and error messages show them."""

import pytest

from gateway.api.provider_tools import displayable_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("web_search_20250305", "web_search_20250305"),
        ("a" * 40, "a" * 40),
        ("a" * 41, "unknown"),
        ("web-search", "unknown"),
        ("suche_ü", "unknown"),
        ("x\r\ny: z", "unknown"),
        ("", "unknown"),
    ],
)
def test_only_plain_identifiers_are_shown(name: str, shown: str) -> None:
    assert displayable_name(name) == shown
