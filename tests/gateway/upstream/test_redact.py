import html
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import orjson
import pytest

from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.provider_errors.failures import classify
from gateway.upstream.redact import redact

KEY = "UPSTREAM/with+odd=chars&more"
DEPLOYMENT = Deployment(
    id="m/0",
    model="m",
    upstream_model="up",
    path="direct",
    api_base="https://inner.example.test/hidden7/v1",
    api_key=Secret(KEY),
    headers={"x-own": Secret("header-value-1")},
)


def redacted(message: str) -> tuple[str, str]:
    """The reason and the client's message of an error with this message, after redaction."""
    failure = classify(400, {}, orjson.dumps({"error": {"message": message}}))
    redact(failure, DEPLOYMENT, {})
    assert failure.error_body is None
    assert failure.error is not None
    return failure.reason, str(failure.error["message"])


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        KEY.lower(),
        KEY[::-1],
        KEY.encode().hex(),
        " ".join(KEY),
        KEY[:6] + "\u200b" + KEY[6:],
        KEY.replace("/", "&#47;"),
        "https://inner.example.test/hidden7/v1?token=abc",
        quote(KEY, safe=""),
        html.escape(KEY),
        "header-value-1",
        "inner.example.test",
        "hidden7",
        "sk-proj-0123456789abcdef",
        "sk-ant-api03-***-1234",
        "gsk_abcdefgh12345678",
        "xai-abcdefgh12345678",
        "AIzaSyA1234567890abcdefghijk",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "org-acme",
        "10.1.2.3:8000",
        "http://vllm.inner:8000/v1",
    ],
)
def test_no_form_of_a_secret_remains(secret: str) -> None:
    assert redacted(f"Odd: {secret} here") == ("Odd: *** here", "Odd: *** here")


def test_a_part_of_a_key_is_masked() -> None:
    assert KEY[-12:] not in redacted(f"A key that ends in {KEY[-12:]}.")[0]
    assert KEY[:12] not in redacted(f"A key that begins with {KEY[:12]}…")[0]
    assert "VVBTVFJFQU0vd2l0aCtvZGQ" not in redacted(f"Odd: {b64encode(KEY.encode()).decode()}")[0]


@pytest.mark.parametrize("before", ["", "u:", "user:", "Bearer "])
def test_a_key_is_found_in_base64(before: str) -> None:
    for encode in (b64encode, urlsafe_b64encode):
        letters = encode(f"{before}{KEY}".encode()).decode()
        text = redacted(f"Odd: {letters} here")[0]
        assert len(text) < len("Odd:  here") + len(letters) // 3, text


def test_users_and_passwords_of_addresses_are_masked() -> None:
    assert redacted("Bad https://user:secret1@host/x at 12:30@noon")[0] == "Bad https://***@host/x at 12:30@noon"


def test_the_scheme_of_a_bearer_token_stays() -> None:
    assert redacted("Refused Bearer abcdefgh1234/+= here")[0] == "Refused Bearer *** here"


@pytest.mark.parametrize(
    "text",
    [
        "See your keys at https://example.test/account/api-keys.",
        "The bearer authentication is missing.",
        "Version 1.2.3 of sk-learn is odd.",
        "Use max_completion_tokens instead of max_tokens.",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redacted(text) == (text, text)


def test_the_reason_does_not_repeat_the_request() -> None:
    failure = classify(400, {}, orjson.dumps({"error": {"message": "Odd input: 'What is my secret plan?'"}}))
    redact(failure, DEPLOYMENT, {"messages": [{"role": "user", "content": "What is my secret plan?"}]})
    assert failure.reason == "Odd input: '***'"
