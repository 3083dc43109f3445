"""The owner of a request in place of its credentials."""

from gateway.core.key_digest import HEADER, key_digest, owner_of, with_owner


def test_credentials_are_replaced_by_the_owner() -> None:
    headers = [(b"authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-1"), (b"accept", b"*/*")]
    accept, owner = with_owner(headers, "file:käse")
    assert accept == (b"accept", b"*/*")
    assert owner[0] == HEADER
    assert key_digest(dict([accept, owner])) == "file:käse"
    assert key_digest({}) == ""


def test_each_plain_key_has_a_digest_of_its_own_and_no_key_has_one_too() -> None:
    digests = {owner_of(key) for key in (b"", b"sk-1", b"sk-2")}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {32}
    # Stored responses belong to these digests, so the digest of a key must never change.
    assert owner_of(b"sk-1") == "123361c22721af0a25182890699eaf4f"
