import asyncio
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from tests.gateway.replay.logs import Logged, fill, write_portfolio
from tests.gateway.running import entry, running
from tests.gateway.running import write_portfolio as write_served
from tests.gateway.store.engines import location
from tests.gateway.upstreams import ScriptedProvider

__all__ = ["location"]
SINCE = ("--since", "2020-01-01")


def run(command: str, *arguments: object, columns: int = 120) -> Result:
    return CliRunner().invoke(main, [command, *map(str, arguments)], env={"COLUMNS": str(columns)})


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    changed = {"conversation": {3: "kept"}, "policy": {4: None}}
    return fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 60, **changed)


def test_both_policies_stand_side_by_side(logged: Logged) -> None:
    wide = run("replay", "--config", logged.path, *SINCE, "--policy", "best")
    assert wide.exit_code == 0, wide.output
    assert "58 of 60 requests from 2020-01-01 00:00 to now." in wide.output
    assert "1 kept the model of their conversation" in wide.output
    assert "1 named their model" in wide.output
    header = next(line for line in wide.output.splitlines() if "90% interval" in line)
    assert header.split() == ["logged", "other", "difference", "90%", "interval"]
    for row in ("accuracy, read-out", "USD per 1,000", "seconds per answer", "llama-70b"):
        assert any(line.startswith(row) for line in wide.output.splitlines()), row
    assert "No SNIPS: 0 graded requests" in wide.output
    narrow = run("replay", "--config", logged.path, *SINCE, "--policy", "best", columns=60)
    assert max(map(len, narrow.output.splitlines())) <= 60
    assert "90% interval" in narrow.output


def test_the_report_as_json(logged: Logged) -> None:
    found = orjson.loads(run("replay", "--config", logged.path, *SINCE, "--cost-weight", 0, "--json").output)
    best = orjson.loads(run("replay", "--config", logged.path, *SINCE, "--policy", "best", "--json").output)
    assert found == best
    assert (found["requests"], found["replayed"], found["interval"]) == (60, 58, 0.9)
    accuracy = found["accuracy"]["read_out"]
    assert accuracy["difference"]["value"] == pytest.approx(accuracy["other"]["value"] - accuracy["logged"]["value"])
    assert [one["reason"] for one in found["not_replayed"]] == ["named", "conversation"]
    assert sum(one["other"] for one in found["models"]) == pytest.approx(1)


def test_several_cost_weights_are_a_curve(logged: Logged) -> None:
    weights = ("--cost-weight", 0, "--cost-weight", 1000)
    found = orjson.loads(run("replay", "--config", logged.path, *SINCE, *weights, "--json").output)
    alone = orjson.loads(run("replay", "--config", logged.path, *SINCE, *weights[2:], "--json").output)
    assert found[1] == {"policy": None, "cost_weight": 1000.0} | alone
    for columns in (60, 120):
        text = run("replay", "--config", logged.path, *SINCE, *weights, columns=columns).output
        rows = [line.split() for line in text.splitlines() if line.strip()]
        assert max(map(len, text.splitlines())) <= columns
        assert [row[0] for row in rows[-3:]] == ["as", "0", "1000"]
        usd = f"{1000 * alone['usd']['other']['value']:.3f}"
        assert usd in rows[-1]
    assert "90% interval" in text


def test_another_portfolio(logged: Logged, tmp_path: Path) -> None:
    new = write_portfolio(tmp_path / "new.yaml", logged.location, ["llama-8b"])
    found = orjson.loads(
        run("replay", "--config", logged.path, *SINCE, "--portfolio", new, "--json", "--until", "2100-01-01").output
    )
    assert {one["model"]: one["other"] for one in found["models"]}["llama-8b"] == 1
    assert found["usd"]["difference"]["value"] < 0


def test_requests_are_exported_and_replayed_from_the_file(logged: Logged, tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    done = run("log", "--config", logged.path, "--parquet", file)
    assert done.output == f"60 requests are in {file}.\n"
    from_file = run("replay", "--config", logged.path, *SINCE, "--policy", "best", "--json", "--parquet", file)
    assert from_file.output == run("replay", "--config", logged.path, *SINCE, "--policy", "best", "--json").output
    refused = run("log", "--config", logged.path, "--parquet", file, "--errors")
    assert refused.exit_code == 2
    assert "leave out --errors" in refused.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "no"], "there is no policy 'no'; there are best, careful"),
        (["--policy", "best", "--cost-weight", "3"], "not both"),
        (["--cost-weight", "3"] * 33, "at most 32 times"),
        (
            ["--cost-weight", "3", "--cost-weight", "4", "--audit", "9", "--audit-usd", "1", "--judge", "a"],
            "one alternative",
        ),
        (["--since", "soon"], "write a duration"),
    ],
)
def test_wrong_options_are_named(logged: Logged, options: list[str], message: str) -> None:
    found = run("replay", "--config", logged.path, *SINCE, *options)
    assert found.exit_code == 2
    assert message in " ".join(found.output.replace("│", " ").split())


@pytest.mark.parametrize("command", [("replay",), ("portfolio", "advise")])
def test_an_engine_that_does_not_exist_is_named(logged: Logged, command: tuple[str, ...]) -> None:
    found = run(*command, "--config", logged.path, "--engine", "spark://127.0.0.1:7077")
    assert found.exit_code == 1
    assert "expected local, dask://HOST:PORT or ray://HOST:PORT" in found.output


def test_nothing_logged_and_a_missing_record(tmp_path: Path) -> None:
    empty = fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 0)
    assert "There is nothing to compare." in run("replay", "--config", empty.path).output
    missing = run("replay", "--config", empty.path, "--db", tmp_path / "none.db")
    assert missing.exit_code == 1
    assert "no such record" in missing.output


def test_what_a_gateway_recorded_is_replayed_with_the_same_choices(tmp_path: Path) -> None:
    async def serve() -> Path:
        async with ScriptedProvider() as up:
            prices = {"llama-8b": 0.1, "llama-70b": 0.9, "mistral-7b": 0.05}
            models = [entry(name, up.base_url, price={"input": usd, "output": usd}) for name, usd in prices.items()]
            path = write_served(tmp_path, models)
            async with running(load_portfolio(path, {})) as gateway:
                for i in range(12):
                    messages = [{"role": "user", "content": f"What is {i} plus {i * i}? Explain it to a child."}]
                    model = "auto:cheap" if i % 2 else "auto"
                    await gateway.client.chat.completions.create(model=model, messages=messages)  # type: ignore[arg-type]
                await gateway.client.chat.completions.create(
                    model="auto",
                    messages=messages,
                    extra_body={"locus": {"exclude": ["llama-70b"]}},  # type: ignore[arg-type]
                )
                await gateway.records()
            return path

    path = asyncio.run(serve())
    found = orjson.loads(run("replay", "--config", path, "--json").output)
    assert (found["requests"], found["replayed"]) == (13, 13)
    assert found["same_choice_now"] == 1
    assert found["differing"] == 0
    assert found["usd"]["difference"]["value"] == 0
