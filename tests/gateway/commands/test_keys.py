"""`locus key`: keys are made, listed, rotated and revoked in the database of the portfolio, with or without a gateway."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio import to_thread
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import entry, running, write_portfolio

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    models = [entry("llama-8b", NOWHERE), entry("llama-70b", NOWHERE)]
    return write_portfolio(tmp_path, models, keys=[{"name": "ci", "key": "sk-ci", "rpm": 5}], teams=[{"name": "build"}])


def key(portfolio: Path, *arguments: str, columns: int = 120) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["key", *arguments, "--config", str(portfolio)])


def listed(portfolio: Path, *arguments: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in key(portfolio, "list", "--json", *arguments).stdout.splitlines()]


def test_a_key_is_printed_alone_so_that_a_script_can_take_it(portfolio: Path) -> None:
    made = key(
        portfolio, "create", "bob", "--team", "build", "--model", "llama-8b", "--policy", "cheap", "--budget", "5/day",
        "--budget", "50/month", "--timezone", "Europe/Berlin", "--rpm", "60", "--tpm", "1000", "--max-parallel-requests", "2",
        "--expires", "2099-01-01", "--tag", "batch",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("lk-")
    assert len(made.stdout.split()) == 1
    assert "shown only now" in made.stderr
    ci, bob = listed(portfolio)
    assert (ci["name"], ci["source"], ci["rpm"]) == ("ci", "file", 5)
    assert (bob["team"], bob["models"], bob["policies"], bob["tags"]) == ("build", ["llama-8b"], ["cheap"], ["batch"])
    assert [(budget["usd"], budget["per"]) for budget in bob["budget"]] == [(5, "day"), (50, "month")]
    assert (bob["timezone"], bob["rpm"], bob["tpm"], bob["max_parallel_requests"]) == ("Europe/Berlin", 60, 1000, 2)
    assert bob["expires"] == "2098-12-31T23:00:00+00:00"
    assert made.stdout.strip() not in key(portfolio, "list", "--json").stdout


@pytest.mark.anyio
async def test_a_running_gateway_takes_the_keys_of_the_command(portfolio: Path) -> None:
    async with running(load_portfolio(portfolio, {})) as run:

        async def status(given: str) -> int:
            run.service.keys.forget()  # instead of the seconds that a key is remembered
            return (await run.http.get("/v1/key", headers={"x-api-key": given})).status_code

        first = (await to_thread.run_sync(key, portfolio, "create", "bob")).stdout.strip()
        assert await status(first) == 200
        rotated = await to_thread.run_sync(lambda: key(portfolio, "rotate", "bob", "--overlap", "0"))
        assert "the old one works no more" in rotated.stderr
        assert [await status(first), await status(rotated.stdout.strip())] == [401, 200]
        revoked = await to_thread.run_sync(key, portfolio, "revoke", "bob")
        assert "is revoked" in revoked.stderr
        assert await status(rotated.stdout.strip()) == 401
    in_use = await to_thread.run_sync(listed, portfolio)
    assert [one["name"] for one in in_use] == ["ci"]
    assert (await to_thread.run_sync(listed, portfolio, "--revoked"))[1]["revoked"] is not None


def test_a_rotation_keeps_the_old_key_for_a_while(portfolio: Path) -> None:
    key(portfolio, "create", "bob")
    assert "the old one works until" in key(portfolio, "rotate", "bob").stderr


@pytest.mark.parametrize("columns", [60, 120])
def test_the_list_fits_the_terminal(portfolio: Path, columns: int) -> None:
    key(portfolio, "create", "bob", "--model", "llama-8b", "--model", "llama-70b", "--budget", "5/day", "--rpm", "60")
    shown = key(portfolio, "list", columns=columns).stdout
    assert max(map(len, shown.splitlines())) <= columns
    for part in ("ci", "file:ci", "5 rpm", "bob", "5/day", "60 rpm", "llama-70b"):
        assert part in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "ci"], "The portfolio file has a key named `ci`; choose another name."),
        (["create", "x", "--team", "none"], "There is no team `none`."),
        (["create", "x", "--model", "none"], "`models[0]`: found 'none'; the portfolio has no such model."),
        (["create", "x", "--budget", "much"], "'much' is not an amount and a window"),
        (["create", "x", "--budget", "5/year"], "`budget[0].per`: Input should be 'day', 'week', 'month' or 'ever'."),
        (["create", "x", "--expires", "soon"], "`expires`: write a date or a time"),
        (["create", "x", "--timezone", "Mars"], "`timezone`: write a time zone"),
        (
            ["revoke", "none"],
            "There is no key `none` in the database; keys of the portfolio file are changed in that file.",
        ),
        (["rotate", "ci"], "There is no key `ci` in the database"),
    ],
)
def test_mistakes_are_named(portfolio: Path, arguments: list[str], message: str) -> None:
    result = key(portfolio, *arguments)
    assert result.exit_code > 0
    assert message in result.stderr
    assert not result.stdout


def test_a_portfolio_without_a_database(tmp_path: Path) -> None:
    path = write_portfolio(
        tmp_path, [entry("llama-8b", NOWHERE)], gateway={"record": None}, keys=[{"name": "a", "key": "k"}]
    )
    assert "no database for keys" in key(path, "create", "bob").stderr
    assert [one["name"] for one in listed(path)] == ["a"]
