"""Authentication as functions of a request's headers."""

import pytest

from gateway.config.portfolio import Portfolio
from gateway.config.secret import Secret
from gateway.core.errors import AuthenticationFailed, Forbidden
from gateway.http.auth import (
    Headers,
    check_local,
    check_operator,
    check_this_machine,
    given_key,
    is_operator,
)

SETTINGS = Portfolio(path=None, models=()).settings


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, b""),
        ({b"authorization": b"Bearer sk-one"}, b"sk-one"),
        ({b"authorization": b"bearer   sk-one "}, b"sk-one"),
        ({b"authorization": b"Basic sk-one"}, b""),
        ({b"authorization": b"Basic sk-one", b"x-api-key": b"sk-two"}, b"sk-two"),
        ({b"authorization": b"Bearer sk-one", b"x-api-key": b"sk-two"}, b"sk-one"),
    ],
)
def test_the_key_of_a_request(headers: Headers, key: bytes) -> None:
    assert given_key(headers) == key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"host": b"127.0.0.1:4000"},
        {b"host": b"[::1]:4000"},
        {b"host": b"gateway"},  # a name without a dot, as in a container network
        {b"host": b"app.localhost", b"origin": b"http://localhost:3000"},
    ],
)
def test_programs_of_this_machine_are_local(headers: Headers) -> None:
    check_local(headers)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({b"host": b"attacker.example"}, "host"),
        ({b"host": b"user@127.0.0.1"}, "host"),
        ({b"host": b"a" * 301}, "host"),
        ({b"origin": b"null"}, "origin"),
        ({b"origin": b"https://attacker.example"}, "origin"),
        ({b"origin": b"http://intranet"}, "origin"),
        ({b"x-forwarded-for": b"192.0.2.1"}, "x-forwarded-for"),
        ({b"via": b"1.1 proxy"}, "via"),
    ],
)
def test_others_are_not_local(headers: Headers, name: str) -> None:
    with pytest.raises(Forbidden, match=f"`{name}`"):
        check_local(headers)


def test_an_allowed_origin_is_local_but_not_through_a_proxy() -> None:
    origin = {b"origin": b"https://app.example"}
    check_local(origin, ["https://app.example"])
    with pytest.raises(Forbidden):
        check_local(origin | {b"via": b"1.1 proxy"}, ["https://app.example"])


@pytest.mark.parametrize("client", [None, ("192.0.2.1", 1)])
def test_another_machine_is_not_this_one(client: tuple[str, int] | None) -> None:
    check_this_machine({"type": "http", "client": ("127.0.0.1", 1), "headers": []})
    with pytest.raises(Forbidden):
        check_this_machine({"type": "http", "client": client, "headers": []})


def test_the_admin_key_makes_the_operator() -> None:
    settings = SETTINGS.model_copy(update={"admin_key": Secret("sk-admin")})
    check_operator({b"x-api-key": b"sk-admin"}, settings)
    assert is_operator({"type": "http", "headers": [(b"x-api-key", b"sk-admin")]}, settings)
    for headers in ({}, {b"x-api-key": b"sk-one"}):
        with pytest.raises(AuthenticationFailed):
            check_operator(headers, settings)
        assert not is_operator({"type": "http", "headers": list(headers.items())}, settings)


def test_without_an_admin_key_this_machine_is_the_operator_of_a_loopback_gateway() -> None:
    check_operator({}, SETTINGS.model_copy(update={"host": "127.0.0.1"}))
    for headers, host in (({}, "0.0.0.0"), ({b"via": b"1.1 proxy"}, "127.0.0.1"), ({b"origin": b"null"}, "127.0.0.1")):
        with pytest.raises(Forbidden):
            check_operator(headers, SETTINGS.model_copy(update={"host": host}))
