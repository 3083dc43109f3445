"""The digest of a client's key in place of its credentials."""

from gateway.core.key_digest import HEADER, key_digest, with_key_digest


def test_credentials_are_replaced_by_the_digest_of_the_key() -> None:
    headers = [(b"authorization", b"Bearer sk-1"), (b"x-api-key", b"sk-1"), (b"accept", b"*/*")]
    accept, digest = with_key_digest(headers, b"sk-1")
    assert accept == (b"accept", b"*/*")
    assert digest[0] == HEADER
    assert b"sk-1" not in digest[1]
    assert key_digest(dict([accept, digest])) == digest[1].decode()


def test_each_key_has_a_digest_of_its_own_and_no_key_has_one_too() -> None:
    digests = {key_digest(dict(with_key_digest([], key))) for key in (b"", b"sk-1", b"sk-2")}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {32}
    assert key_digest({}) == ""
