"""`locus feedback import` over the record of a running gateway."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from tests.gateway.running import entry, gateway
from tests.gateway.telemetry.collector import collecting, otel
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def locus(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["feedback", *arguments])


async def test_thumbs_and_scores_find_their_requests(tmp_path: Path) -> None:
    thumbs = [{"data": {"rating": rating}, "meta": {"message_id": f"m{i}"}} for i, rating in enumerate([-1, 1, None])]
    scores = [{"name": "ok", "dataType": "NUMERIC", "value": 1, "traceId": trace} for trace in (TRACE, "0" * 32)]
    scores[0]["timestamp"] = "2026-01-02T00:00:00.000Z"
    scores.append(
        scores[0] | {"value": 0, "timestamp": "2026-01-01T00:00:00.000Z"}
    )  # the newest comes first, and counts
    (tmp_path / "thumbs.json").write_text(json.dumps(thumbs))
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    async with ScriptedProvider() as up, collecting() as collector:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", up.base_url)]
        async with gateway(tmp_path, models, **otel(collector)) as run:
            traced = {"x-openwebui-message-id": "m0", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            await run.client.chat.completions.create(model="auto", messages=ASK, extra_headers=traced)
            own = {"x-openwebui-message-id": "m0"}  # the title of the conversation
            await run.client.chat.completions.create(model="llama-8b", messages=ASK, extra_headers=own)
            first = (await run.records())[0]
    assert (first["request_id"], first["trace_id"]) == ("m0", TRACE)
    db = ("--db", str(tmp_path / "record.db"))
    imported = await asyncio.to_thread(locus, "import", "langfuse", str(tmp_path / "scores.json"), *db)
    assert imported.output.splitlines() == [
        "3 read, 1 imported, 1 of them usable.",
        f"1 belong to no request of the record: {'0' * 32}.",
    ]
    imported = await asyncio.to_thread(locus, "import", "open-webui", str(tmp_path / "thumbs.json"), *db)
    assert imported.exit_code == 0, imported.output
    assert imported.output.splitlines() == [
        "3 read, 1 imported, 1 of them usable.",
        "1 left out: no thumb.",
        "1 belong to no request of the record: m1.",
    ]
    shown = [json.loads(line) for line in (await asyncio.to_thread(locus, *db, "--json")).output.splitlines()]
    assert [(row["source"], row["mean"], row["usable"]) for row in shown] == [
        ("import:langfuse", 1.0, 1),
        ("import:open-webui", 0.0, 1),
    ]


def test_what_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("[]")
    (tmp_path / "thumbs.json").write_text(json.dumps([{"data": {"rating": 1}, "meta": {"message_id": "m"}}]))
    db = ("--db", str(tmp_path / "record.db"))
    assert locus("import", "open-webui", str(tmp_path / "empty.json"), *db).exit_code == 0
    nothing = locus("import", "open-webui", str(tmp_path / "thumbs.json"), *db)
    assert nothing.exit_code == 1
    assert "no outcome was imported" in nothing.output
    missing = locus("import", "langfuse", str(tmp_path / "none.json"), *db)
    assert missing.exit_code == 1
    assert "none.json" in missing.output
    assert "must differ" in locus("import", "langfuse", "x", "--lowest", "1", *db).output
