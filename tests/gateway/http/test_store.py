"""Gateways on one PostgreSQL database, with OpenAI's own client: what is written, and what happens while the database is away."""

from pathlib import Path

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.record import recorder as recorder_module
from tests.gateway.postgres import PASSWORD, Postgres
from tests.gateway.record.recording import rows
from tests.gateway.running import entry, eventually, gateway
from tests.gateway.upstreams import ScriptedProvider, answer, error

pytestmark = pytest.mark.anyio
KEY = "sk-up-0123456789abcdef"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


async def test_a_routed_request_is_recorded_with_what_was_known(tmp_path: Path, url: str) -> None:
    location = DatabaseLocation.from_url(url)
    async with ScriptedProvider(answer("fine")) as provider:
        models = [entry("llama-8b", provider.base_url), entry("mistral-7b", provider.base_url)]
        async with gateway(tmp_path, models, gateway={"store": url}) as run:
            await run.client.chat.completions.create(
                model="auto",
                messages=[{"role": "user", "content": "How are you?"}],
                user="alice",
                safety_identifier="s-1",
                metadata={"ticket": "7"},
            )
            await eventually(lambda: not run.service.recorder.pending)
    (row,) = rows(location, "SELECT * FROM requests")
    assert (row["end_user"], row["safety_identifier"], row["metadata"]) == ("alice", "s-1", {"ticket": "7"})
    assert (row["propensity"], len(row["checkpoint"]), row["policy"]) == (1.0, 12, "balanced")
    assert [len(row[name]) for name in ("all_candidates", "encoding", "surface")] == [2 * 6, 4 + 256, 2 * 34]
    assert rows(location, "SELECT models FROM portfolios") == [{"models": ["llama-8b", "mistral-7b"]}]
    (call,) = rows(location, "SELECT * FROM ledger")
    assert (call["request_id"], call["nusd"]) == (row["request_id"], row["cost_nusd"])
    assert (call["model"], call["prompt_tokens"]) == (row["served"], row["prompt_tokens"])
    assert not list(tmp_path.glob("*.db*"))  # noqa: ASYNC240


async def test_another_gateway_continues_a_conversation(tmp_path: Path, url: str) -> None:
    async with ScriptedProvider(answer("fine")) as provider:
        models = [entry("llama-8b", provider.base_url)]
        other_folder = tmp_path / "other"
        other_folder.mkdir()
        async with gateway(tmp_path, models, gateway={"store": url}) as run:
            first = await run.client.responses.create(model="llama-8b", input="How are you?")
            async with gateway(other_folder, models, gateway={"store": url}) as other:
                second = await other.client.responses.create(
                    model="llama-8b", input="And now?", previous_response_id=first.id
                )
                listed = await run.client.responses.input_items.list(second.id, order="asc")
    assert [item.content[0].text for item in listed.data] == ["How are you?", "fine", "And now?"]  # type: ignore[union-attr]


async def test_requests_go_on_while_the_database_is_away(
    tmp_path: Path, postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.1)
    async with ScriptedProvider(answer("fine")) as provider:
        async with gateway(tmp_path, [entry("llama-8b", provider.base_url)], gateway={"store": url}) as run:
            postgres.stop()
            try:
                for _ in range(3):
                    got = await run.client.responses.create(model="llama-8b", input="How are you?")
                    assert got.output_text == "fine"
                await eventually(lambda: run.service.recorder.failure is not None)
                record = (await run.http.get("/health/ready")).json()["record"]
                assert (record["status"], record["pending"], record["lost"]) == ("waiting", 3, 0)
                metrics = (await run.http.get("/metrics")).text
                assert "locus_records_failing 1.0" in metrics
                assert "locus_records_pending 3.0" in metrics
            finally:
                postgres.start()
            await eventually(lambda: not run.service.recorder.pending)
            assert (await run.http.get("/health/ready")).json()["record"]["status"] == "written"
    assert rows(DatabaseLocation.from_url(url), "SELECT count(*) AS n FROM ledger") == [{"n": 3}]
    assert PASSWORD not in caplog.text
    assert "s3cret" not in record["reason"] + metrics


async def test_the_words_of_a_provider_are_in_the_record_without_its_key(tmp_path: Path, url: str) -> None:
    async with ScriptedProvider(error(401, f"Incorrect API key provided: {KEY}")) as provider:
        model = entry("llama-8b", provider.base_url)
        model["deployments"][0]["api_key"] = KEY
        async with gateway(tmp_path, [model], gateway={"store": url}) as run:
            await run.http.post(
                "/v1/chat/completions", json={"model": "llama-8b", "messages": [{"role": "user", "content": "x"}]}
            )
            await eventually(lambda: not run.service.recorder.pending)
    (row,) = rows(DatabaseLocation.from_url(url), "SELECT failover FROM requests")
    assert row["failover"][0]["cause"] == "auth"
    assert "Incorrect API key provided" in row["failover"][0]["reason"]
    assert KEY not in str(row)
