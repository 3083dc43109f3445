"""Keys that the gateway makes: their form, and the checksum that finds typos."""

import re

import pytest

from gateway.keys.key_format import new_id, new_key, parse_key


def test_a_new_key_has_its_id_and_a_checksum() -> None:
    key_id = new_id()
    key = new_key(key_id)
    assert re.fullmatch(r"lk-[a-z2-7]{12}-[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", key)
    parsed = parse_key(key.encode())
    assert parsed is not None
    assert parsed.id == key_id
    assert len(parsed.secret) == 43
    assert new_key(key_id) != key


def test_the_form_never_changes() -> None:
    # Keys that clients hold must stay valid.
    key = b"lk-abcdefghij27-" + b"A" * 43 + b"1TSu4D"
    assert parse_key(key) is not None


@pytest.mark.parametrize("at", [3, 16, 40, 60, -1])
def test_a_typo_is_found(at: int) -> None:
    key = bytearray(new_key("abcdefghij27").encode())
    key[at] = ord("b") if key[at] != ord("b") else ord("c")
    assert parse_key(bytes(key)) is None


@pytest.mark.parametrize("key", [b"", b"lk-", b"sk-abc", b"lk-abcdefghij27", b"\xff" * 68])
def test_other_texts_are_no_keys(key: bytes) -> None:
    assert parse_key(key) is None


def test_a_key_with_more_behind_it_is_none() -> None:
    key = new_key("abcdefghij27").encode()
    assert parse_key(key + b"x") is None
    assert parse_key(key[:-1]) is None
    assert parse_key(key + b"\n") is None
