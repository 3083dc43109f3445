"""Which requests may change something, and what the headers of pages forbid."""

import pytest

from gateway.console.guard import CONTENT_SECURITY_POLICY, check_same_origin
from gateway.core.errors import Forbidden

OWN = {"host": "gateway.example:4000", "origin": "https://gateway.example:4000", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        {"host": "gateway.example", "origin": "http://gateway.example"},
        {"host": "127.0.0.1:4000", "sec-fetch-site": "same-origin"},
    ],
)
def test_pages_of_the_gateway_may_change_something(headers: dict[str, str]) -> None:
    check_same_origin("POST", headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "gateway.example:4000"},
        OWN | {"sec-fetch-site": "cross-site"},
        OWN | {"sec-fetch-site": "same-site"},
        OWN | {"sec-fetch-site": "none"},
        OWN | {"origin": "https://evil.example"},
        OWN | {"origin": "https://gateway.example:4001"},
        OWN | {"origin": "https://gateway.example:4000.evil.example"},
        OWN | {"origin": "null"},
        OWN | {"origin": ""},
        {"origin": "null"},
        {"origin": "", "sec-fetch-site": "same-origin"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_other_sites_and_programs_may_change_nothing(headers: dict[str, str], method: str) -> None:
    with pytest.raises(Forbidden):
        check_same_origin(method, headers)


def test_reading_is_always_allowed() -> None:
    check_same_origin("GET", OWN | {"sec-fetch-site": "cross-site", "origin": "https://evil.example"})


def test_no_page_may_run_what_is_not_served_by_the_gateway() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    for kind in ("script-src", "style-src", "connect-src", "form-action"):
        assert rules[kind] == "'self'"
