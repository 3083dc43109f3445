"""Keys of LiteLLM's database: fields that are taken over, and what is left out."""

import hashlib
from typing import Any

import orjson
import pytest

from gateway.migrate.litellm_keys import NotKeys, read_litellm_keys

SHA256 = hashlib.sha256(b"sk-1234").hexdigest()


def row(**fields: Any) -> dict[str, Any]:
    return {"token": SHA256, "key_alias": "ci"} | fields


def test_fields_of_a_key() -> None:
    full = row(
        team_alias="build",
        models=["llama-8b"],
        rpm_limit=60,
        tpm_limit=1000,
        max_parallel_requests=None,
        max_budget=5.0,
        budget_duration="30d",
        spend=1.25,
        expires="2027-01-01T00:00:00Z",
        tags=["a"],
        blocked=None,
    )
    read = read_litellm_keys(orjson.dumps({"keys": [full], "total_count": 1}))
    (key,) = read.keys
    assert key.sha256 == hashlib.sha256(b"sk-1234").digest()
    assert key.fields == {
        "name": "ci",
        "team": "build",
        "models": ["llama-8b"],
        "rpm": 60,
        "tpm": 1000,
        "expires": "2027-01-01T00:00:00Z",
        "tags": ["a"],
        "budget": [{"usd": 5.0, "per": "month"}],
    }
    assert read.findings == ["ci: its budget begins anew; 1.25 USD were spent there"]


def test_a_list_of_rows_and_a_key_without_a_name_or_limits() -> None:
    (key,) = read_litellm_keys(orjson.dumps([row(key_alias=None, models=["all-team-models"])])).keys
    assert key.fields == {"name": f"litellm-{SHA256[:8]}"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"blocked": True}, "it is blocked"),
        ({"token": "sk-1234"}, "`token` is not the SHA-256 of a key"),
        ({"max_budget": 1, "budget_duration": "3h"}, "no window is like budget_duration 3h"),
    ],
)
def test_what_cannot_be_taken_over_is_said(fields: dict[str, Any], why: str) -> None:
    read = read_litellm_keys(orjson.dumps([row(**fields)]))
    assert read.keys == []
    assert read.findings == [f"ci: left out, {why}"]


@pytest.mark.parametrize("text", [b"{", b"3", b'{"keys": ["hash"]}', b'{"detail": "no"}'])
def test_other_files_are_refused(text: bytes) -> None:
    with pytest.raises(NotKeys):
        read_litellm_keys(text)
