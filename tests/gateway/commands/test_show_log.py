import asyncio
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.commands.show_log import read_last
from gateway.record.request_record import Record
from gateway.store.schema import HEAD
from tests.gateway.record.recording import recorder_of

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
CANDIDATES = [{"model": "small", "p_correct": 0.7, "price_usd": 0.001}]
FAILED = [{"model": "small", "deployment": "small/0", "cause": "server_error", "status": 500, "elapsed_ms": 12.0}]


def record(n: int, **more: Any) -> Record:
    """A request that was answered by the model chosen for it."""
    usual: dict[str, Any] = {
        "request_id": f"req-{n}",
        "time": 1_700_000_000.0 + n,
        "requested": "auto",
        "policy": "balanced",
        "chosen": "small",
        "served": "small",
        "deployment": "small/0",
        "p_correct": 0.7312,
        "stand_in_distance": None,
        "predicted_loss": None,
        "candidates": orjson.dumps(CANDIDATES).decode(),
        "failover": None,
        "parts": None,
        "stream": False,
        "status": 200,
        "error": None,
        "prompt_tokens": 10,
        "completion_tokens": 32,
        "usage_estimated": False,
        "cost_nusd": 123_000,
        "latency_ms": 456.7,
        "first_token_ms": None,
        "overhead_ms": 3.21,
        "prompt": None,
    }
    return Record(**usual | more)


async def write(path: Path, *records: Record) -> Path:
    async with recorder_of(path) as recorder:
        for one in records:
            recorder.add(one)
    return path


def show(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["log", *arguments], env={"COLUMNS": "200"})


async def test_a_request_is_one_row(tmp_path: Path) -> None:
    result = show("--db", str(await write(tmp_path / "r.db", record(1))))
    assert result.exit_code == 0
    header, row = result.stdout.splitlines()
    assert header.split() == ["time", "asked", "answered", "by", "p", "tokens", "USD", "ms", "own", "status"]  # fmt: skip
    assert row.split()[2:] == ["auto", "small", "0.73", "10+32", "0.000123", "457", "3.2", "200"]


async def test_a_stand_in_is_shown_with_its_distance_and_what_failed(tmp_path: Path) -> None:
    stood_in = record(1, served="big", stand_in_distance=0.4567, failover=orjson.dumps(FAILED).decode())
    _, row, attempt, *_ = show("--db", str(await write(tmp_path / "r.db", stood_in))).stdout.splitlines()
    assert "big, 0.46 from small" in row
    assert "small/0 server_error 5" in attempt


async def test_a_request_that_failed_is_shown_with_its_error(tmp_path: Path) -> None:
    nothing = dict.fromkeys(
        ("requested", "policy", "chosen", "served", "deployment", "p_correct", "candidates", "prompt_tokens",
         "completion_tokens", "cost_nusd", "overhead_ms")
    )  # fmt: skip
    failed = record(1, **nothing, status=400, error="invalid_json")
    row = show("--db", str(await write(tmp_path / "r.db", failed))).stdout.splitlines()[1]
    assert row.split()[2:] == ["-", "-", "-", "-", "-", "457", "-", "400", "invalid_json"]


async def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    path = await write(tmp_path / "r.db", record(1, requested="small[q4]", chosen="[/]", served="[red]x"))
    result = show("--db", str(path))
    assert result.exit_code == 0
    for name in ("small[q4]", "[/]", "[red]x"):
        assert name in result.stdout


EVIL = "a\x1b]0;title\x07\x1b[31m\x1b[2J\r\nforged\x9b31m\u202eb" + "c" * 10_000


@pytest.mark.parametrize("columns", ["200", "60"])
async def test_control_characters_are_shown_as_their_codes(tmp_path: Path, columns: str) -> None:
    failed = orjson.dumps([FAILED[0] | {"deployment": EVIL, "cause": EVIL}]).decode()
    path = await write(
        tmp_path / "r.db", record(1, requested=EVIL, served=EVIL, chosen=EVIL, error=EVIL, failover=failed)
    )
    environment = {"COLUMNS": columns, "FORCE_COLOR": "1", "NO_COLOR": "1"}
    result = CliRunner().invoke(main, ["log", "--db", str(path)], env=environment, color=True)
    assert result.exit_code == 0
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert "\\x1b]0;title" in result.stdout.replace("\n", "")
    assert len(result.stdout) < 10_000


async def test_control_characters_are_escaped_in_json(tmp_path: Path) -> None:
    path = await write(tmp_path / "r.db", record(1, requested="é😀" + EVIL))
    result = show("--db", str(path), "--json")
    assert result.stdout.strip().isprintable()
    assert "é😀" in result.stdout
    assert orjson.loads(result.stdout)["requested"].startswith("é😀" + EVIL[:60])


async def test_on_a_narrow_terminal_a_request_takes_two_lines(tmp_path: Path) -> None:
    stood_in = record(1, served="big", stand_in_distance=0.4567, failover=orjson.dumps(FAILED).decode())
    path = await write(tmp_path / "r.db", stood_in)
    result = CliRunner().invoke(main, ["log", "--db", str(path)], env={"COLUMNS": "60"})
    first, second, attempt, *_ = result.stdout.splitlines()
    assert first.split(maxsplit=2)[2].rstrip() == "auto → big, 0.46 from small  200"
    assert second.strip() == "p 0.73, 10+32 tokens, 0.000123 USD, 457 ms, own 3.2"
    assert "small/0 server_error" in attempt
    assert max(map(len, result.stdout.splitlines())) <= 60


async def test_json_gives_one_object_per_line_oldest_first_with_all_columns(tmp_path: Path) -> None:
    records = [record(2, failover=orjson.dumps(FAILED).decode()), record(1, prompt='[{"role": "user"}]'), record(3)]
    result = show("--db", str(await write(tmp_path / "r.db", *records)), "--json")
    rows = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [row["request_id"] for row in rows] == ["req-1", "req-2", "req-3"]
    assert rows[1] == records[0]._asdict() | {
        "id": 1,
        "cost_usd": 0.000123,
        "portfolio": None,
        "needs": None,
        "candidates": CANDIDATES,
        "failover": FAILED,
    }
    assert rows[0]["prompt"] == [{"role": "user"}]


@pytest.mark.parametrize(("arguments", "shown"), [([], range(6, 26)), (["-n", "2"], range(24, 26)), (["-n", "99"], range(1, 26))])  # fmt: skip
async def test_the_last_ones_are_shown(tmp_path: Path, arguments: list[str], shown: range) -> None:
    path = await write(tmp_path / "r.db", *(record(n) for n in range(1, 26)))
    result = show("--db", str(path), "--json", *arguments)
    assert [orjson.loads(line)["request_id"] for line in result.stdout.splitlines()] == [f"req-{n}" for n in shown]


async def test_the_record_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = await write(tmp_path / "r.db", record(1))
    async with recorder_of(path) as recorder:
        recorder.add(record(2))
        assert len(read_last(path, 10)) in (1, 2)
    assert [row["request_id"] for row in read_last(path, 10)] == ["req-1", "req-2"]


@pytest.mark.parametrize("name", ["what?.db", "50%41.db", "a#b.db"])
async def test_the_file_may_have_an_odd_name(tmp_path: Path, name: str) -> None:
    assert len(read_last(await write(tmp_path / name, record(1)), 10)) == 1


async def test_the_file_that_the_portfolio_names_is_shown(tmp_path: Path) -> None:
    await write(tmp_path / "r.db", record(1))
    config = tmp_path / "p.yaml"
    text = "models: [{name: a, context_window: 1, deployments: [{model: ollama/m}]}]\n"
    config.write_text(text + f"gateway: {{record: {tmp_path}/r.db}}\n")
    assert orjson.loads(show("--config", str(config), "--json").stdout)["request_id"] == "req-1"
    config.write_text(text + "gateway: {record: null}\n")
    nothing = show("--config", str(config))
    assert (nothing.exit_code, nothing.stderr) == (
        1,
        "Error: this portfolio records nothing (`record: null`, and no `store`)\n",
    )


def test_a_wrong_portfolio_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    result = show("--config", str(tmp_path / "none.yaml"))
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path}/none.yaml: no such file\n")


async def test_without_a_portfolio_the_record_of_the_demo_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert show().stderr.startswith("Error: locus-demo.db: no such record; it is written by `locus serve`")
    await write(tmp_path / "locus-demo.db", record(1))
    assert orjson.loads(show("--json").stdout)["request_id"] == "req-1"


def test_a_missing_file_says_who_writes_it(tmp_path: Path) -> None:
    result = show("--db", str(tmp_path / "none.db"))
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"Error: {tmp_path}/none.db: no such record; it is written by `locus serve` when a request comes in.\n"
    )
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_record_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello, this is no database at all" * 10)
    assert "file is not a database" in show("--db", str(tmp_path / "text.db")).stderr
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE other (x)").connection.close()
    assert "no record yet" in show("--db", str(tmp_path / "empty.db")).stderr


async def test_an_answer_from_the_cache_is_marked(tmp_path: Path) -> None:
    hit = record(2, cache="hit", deployment=None, cost_nusd=0)
    path = await write(tmp_path / "r.db", record(1, cache="miss"), hit)
    first, second = [line for line in show("--db", str(path)).output.splitlines() if "small" in line]
    assert "(cache)" not in first
    assert "small (cache)" in second
    assert "0.000000" in second


async def test_calls_of_the_gateway_s_own_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    probes = [
        record(n, api="probe", requested="small", key_id=f"system:{by}") for n, by in ((2, "drift"), (3, "grader"))
    ]
    path = await write(tmp_path / "r.db", record(1, api="chat"), *probes, record(4))

    def shown(*more: str) -> list[str]:
        lines = show("--db", str(path), "--json", *more).stdout.splitlines()
        return [orjson.loads(line)["request_id"] for line in lines]

    assert shown() == ["req-1", "req-4"]
    assert shown("-n", "2") == ["req-1", "req-4"]
    assert shown("--probes") == ["req-1", "req-2", "req-3", "req-4"]
    assert shown("--key", "system:drift") == ["req-2"]
    table = show("--db", str(path), "--probes").stdout.splitlines()
    assert [line.split()[2:4] for line in table[1:]] == [
        ["auto", "small"], ["small", "(system:drift)"], ["small", "(system:grader)"], ["auto", "small"],
    ]  # fmt: skip


async def test_new_requests_are_followed(tmp_path: Path) -> None:
    path = await write(tmp_path / "r.db", record(1), record(2))
    command = [sys.executable, "-m", "gateway.commands.main", "log", "-f", "-n", "1", "--db", str(path), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        assert orjson.loads(await asyncio.wait_for(process.stdout.readline(), 60))["request_id"] == "req-2"
        for n in (3, 4):
            await write(path, record(n))
            assert orjson.loads(await asyncio.wait_for(process.stdout.readline(), 60))["request_id"] == f"req-{n}"
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0


def test_a_record_of_an_older_version_names_the_command_that_upgrades_it(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    sqlite3.connect(path).execute("CREATE TABLE requests (request_id, time)").connection.close()
    assert "`locus migrate` upgrades it" in show("--db", str(path)).stderr
    migrated = CliRunner().invoke(main, ["migrate", "--db", str(path)])
    assert migrated.stdout == f"{path}: upgraded from version 0000 to {HEAD}\n"
    assert show("--db", str(path)).exit_code == 0


async def test_the_members_of_an_ensemble_are_below_the_request(tmp_path: Path) -> None:
    members = [
        {"model": "small", "p_correct": 0.71, "weight": 1.2, "vote": 1, "author": True, "usd": 0.001, "ms": 3.0},
        {"model": "big", "p_correct": 0.7, "weight": 1.2, "vote": 2, "author": False, "usd": None, "ms": 3.0},
        {
            "model": "odd",
            "p_correct": 0.69,
            "weight": 1.1,
            "vote": None,
            "author": False,
            "usd": 0.0,
            "failed": "timeout",
        },
    ]
    judge = [{"model": "large", "usd": 0.002}]
    ensemble = {"result": "judged", "agreed": 1, "answered": 2, "members": members, "judge": judge}
    parts = [{"deployment": f"{one['model']}/0", "prompt_tokens": 5, "completion_tokens": 16} for one in members[:2]]
    asked = record(1, ensemble=orjson.dumps(ensemble).decode(), parts=orjson.dumps(parts).decode())
    _, row, *below = show("--db", str(await write(tmp_path / "r.db", asked))).stdout.splitlines()
    assert "small (judged, 1 of 2)" in row
    assert [line.strip() for line in below] == [
        "small p 0.71: vote 1, author, 0.001000 USD",
        "big p 0.70: vote 2",
        "odd p 0.69: timeout, 0.000000 USD",
        "large judged, 0.002000 USD",
    ]
