import asyncio
import csv
import io
import time
from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.record.request_record import Part, Record
from gateway.store.schema import HEAD
from tests.gateway.postgres import PASSWORD, Postgres
from tests.gateway.record.recording import recorder_of
from tests.gateway.store.engines import location

__all__ = ["location"]
DAY = 86_400


def run(command: str, *arguments: str, columns: int = 120) -> Result:
    return CliRunner().invoke(main, [command, *arguments], env={"COLUMNS": str(columns)})


def config(folder: Path, location: DatabaseLocation) -> str:
    """A portfolio whose store is this database."""
    url = f"sqlite:///{location.file}" if location.url is None else location.url.reveal()
    path = folder / "portfolio.yaml"
    model = {"name": "m", "context_window": 1, "deployments": [{"model": "ollama/m"}]}
    path.write_text(yaml.safe_dump({"models": [model], "gateway": {"store": url}}))
    return str(path)


def call(number: int, key: str | None, model: str, nusd: int | None, days_ago: float = 0.0, **more: object) -> Record:
    values = dict.fromkeys(Record._fields) | {"request_id": f"r{number}", "time": time.time() - days_ago * DAY}
    values |= {"status": 200, "latency_ms": 1.0, "requested": model, "served": model, "chosen": model}
    values |= {"key_id": key and f"file:{key}", "key_name": key, "team": key and "build", "cost_nusd": nusd}
    return Record(**values | more)  # type: ignore[arg-type]


@pytest.fixture
def filled(tmp_path: Path, location: DatabaseLocation) -> str:
    """The portfolio of a database with four calls."""
    failed = [
        {"model": "big", "deployment": "big/0", "cause": "auth", "status": 401, "reason": "Incorrect API key ***"}
    ]

    async def fill() -> None:
        async with recorder_of(location) as recorder:
            recorder.add(call(1, "ci", "small", 1_000_000_001), [Part("small", "small/0", 10, 5, 1_000_000_001, False)])
            recorder.add(call(2, "ci", "big", None), [Part("big", "big/0", 20, 5, None, True)])
            recorder.add(call(3, None, "big", 7, 3.0), [Part("big", "big/0", 30, 5, 7, False)])
            failover = orjson.dumps(failed).decode()
            recorder.add(
                call(4, "dev", "big", None, status=502, error="upstreams_failed", served=None, failover=failover)
            )

    asyncio.run(fill())
    return config(tmp_path, location)


def rows(*arguments: str) -> list[dict[str, object]]:
    result = run("spend", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_the_ledger_is_summed_by_key(filled: str) -> None:
    one, other = rows("--config", filled)
    assert one == {
        "key": "ci",
        "calls": 2,
        "prompt_tokens": 30,
        "cached_tokens": 0,
        "completion_tokens": 10,
        "usd": 1.000000001,
        "unpriced_calls": 1,
        "estimated_calls": 1,
        "cache_hits": 0,
        "saved_usd": 0.0,
    }
    assert (other["key"], other["calls"], other["usd"]) == (None, 1, 7e-9)


def test_sums_by_several_names_and_since(filled: str) -> None:
    found = [(row["model"], row["team"], row["calls"]) for row in rows("--config", filled, "--by", "model, team")]
    assert found == [("small", "build", 1), ("big", None, 1), ("big", "build", 1)]
    assert [row["calls"] for row in rows("--config", filled, "--by", "day", "--since", "2d")] == [2]
    days = [str(row["day"]) for row in rows("--config", filled, "--by", "day")]
    assert days == sorted(days)
    assert days[0] == time.strftime("%Y-%m-%d", time.gmtime(time.time() - 3 * DAY))


def test_what_the_cache_saved_is_told_by_group(tmp_path: Path, location: DatabaseLocation) -> None:
    async def fill() -> None:
        async with recorder_of(location) as recorder:
            recorder.add(call(1, "ci", "small", 30), [Part("small", "small/0", 10, 5, 30, False)])
            for number, key in ((2, "ci"), (3, "ci"), (4, "dev"), (5, None)):
                recorder.add(call(number, key, "small", 0, cache="hit", saved_nusd=30))

    asyncio.run(fill())
    portfolio = config(tmp_path, location)
    found = {row["key"]: (row["calls"], row["cache_hits"], row["saved_usd"]) for row in rows("--config", portfolio)}
    assert found == {"ci": (1, 2, 60e-9), "dev": (0, 1, 30e-9), None: (0, 1, 30e-9)}
    (day,) = rows("--config", portfolio, "--by", "day", "--since", "2d")
    assert (day["day"], day["cache_hits"]) == (time.strftime("%Y-%m-%d", time.gmtime()), 4)
    shown = run("spend", "--config", portfolio).stdout
    assert "The cache gave 4 answers that had cost 0.000000 USD." in shown


def test_csv_has_exact_sums(filled: str) -> None:
    result = run("spend", "--config", filled, "--by", "model", "--csv")
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["model"], row["usd"]) for row in found] == [("small", "1.000000001"), ("big", "0.000000007")]


@pytest.mark.parametrize("columns", [60, 120])
def test_the_table_fits_and_says_what_it_lacks(filled: str, columns: int) -> None:
    lines = run("spend", "--config", filled, "--by", "key,model,day", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert ("tokens in" in lines[0]) is (columns == 120)
    assert lines[-2].startswith("1 of 3 calls have no known price") or "no known price" in " ".join(lines[-3:])
    assert "reported no usage" in lines[-1]


def test_the_log_is_filtered(filled: str) -> None:
    def ids(*arguments: str) -> list[str]:
        result = run("log", "--config", filled, "--json", *arguments)
        return [orjson.loads(line)["request_id"] for line in result.stdout.splitlines()]

    assert ids() == ["r3", "r1", "r2", "r4"]
    assert ids("--key", "ci") == ids("--key", "file:ci") == ["r1", "r2"]
    assert ids("--model", "small") == ["r1"]
    assert ids("--since", "1h", "--model", "big") == ["r2", "r4"]
    assert ids("--errors") == ["r4"]
    assert ids("--since", "2020-01-01", "-n", "1") == ["r4"]


@pytest.mark.parametrize("columns", [60, 120])
def test_errors_are_shown_with_the_providers_words(filled: str, columns: int) -> None:
    shown = run("log", "--config", filled, "--errors", columns=columns).stdout
    assert "big (dev) → -  502 upstreams_failed" in shown
    assert "big/0 auth 401: Incorrect API key ***" in shown
    assert max(map(len, shown.splitlines())) <= columns


def test_a_wrong_value_is_named() -> None:
    assert "'colour' is none of key, model, team" in run("spend", "--by", "colour").stderr
    assert "write a duration such as 90m, 1h or 7d" in run("log", "--since", "soon").stderr


@pytest.mark.parametrize("command", ["spend", "log", "migrate"])
def test_a_server_that_refuses_is_named_without_the_password(tmp_path: Path, postgres: Postgres, command: str) -> None:
    url = postgres.new_database()
    away = DatabaseLocation.from_url(url.replace(str(postgres.port), "1"))
    result = run(command, "--config", config(tmp_path, away))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: postgresql://127.0.0.1:1/test")
    assert "refused" in result.stderr
    assert PASSWORD not in result.stderr


def test_migrate_creates_upgrades_and_repeats(tmp_path: Path, location: DatabaseLocation) -> None:
    path = config(tmp_path, location)
    assert (
        "no record yet" in run("spend", "--config", path).stderr
        or "no such record" in run("spend", "--config", path).stderr
    )
    assert run("migrate", "--config", path).stdout == f"{location}: created with version {HEAD}\n"
    assert run("migrate", "--config", path).stdout == f"{location}: has version {HEAD} already\n"
    assert run("spend", "--config", path).stdout == "Nothing was spent.\n"
