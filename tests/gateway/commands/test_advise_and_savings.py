from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.replay.advise import advise, candidates
from gateway.replay.logged import DatabaseLog
from gateway.replay.sample import sample
from gateway.store.engines import sync_engine
from tests.gateway.replay.logs import BEGAN, PRICES, Logged, fill, placed, write_portfolio
from tests.gateway.running import EMBEDDINGS, shipped_router

SINCE = ("--since", "2020-01-01")


def run(*arguments: object, columns: int = 120) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), env={"COLUMNS": str(columns)})


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("log")
    hits = {"cache": {1: "hit", 2: "hit"}, "saved_nusd": {1: 120_000}}
    return fill(folder, DatabaseLocation(file=folder / "store.db"), 260, **hits)


def test_a_weak_portfolio_is_told_which_models_to_add(logged: Logged, tmp_path: Path) -> None:
    weak = write_portfolio(tmp_path / "weak.yaml", logged.location, ["mistral-7b"])
    before = weak.read_bytes()
    found = orjson.loads(run("portfolio", "advise", "--config", weak, *SINCE, "--json").output)
    assert (found["enough"], found["requests"]) == (True, 258)
    assert found["candidates"] > 20
    best = found["advice"][0]
    assert best["accuracy_gain"] > 0.02
    sure = [one["accuracy_gain_in_nine_of_ten"] for one in found["advice"]]
    assert sure == sorted(sure, reverse=True)
    assert sure[-1] > 0
    narrow = run("portfolio", "advise", "--config", weak, *SINCE, columns=60).output
    assert max(map(len, narrow.splitlines())) <= 60
    words = {"add": "add {add}", "replace": "{add} in place of {remove}"}[best["kind"]].format(**best)
    assert words in narrow.replace("\n", " ")
    assert weak.read_bytes() == before


def test_candidates_are_models_of_the_space_with_a_price_that_the_portfolio_lacks() -> None:
    space = shipped_router().space
    found = candidates(space, [EMBEDDINGS["llama-70b"]])
    embeddings = [model.embedding for model in found]
    assert len(set(embeddings)) == len(embeddings)
    assert EMBEDDINGS["llama-70b"] not in embeddings
    assert all(model.price is not None and model.embedding in space.models for model in found)


def test_each_removal_is_weighed(logged: Logged) -> None:
    found = orjson.loads(run("portfolio", "advise", "--config", logged.path, *SINCE, "--json").output)
    assert {one["remove"] for one in found["removals"]} == set(PRICES)
    lost = {one["remove"]: one["accuracy_gain"] for one in found["removals"]}
    assert lost["llama-70b"] < lost["mistral-7b"] + 1e-9


def test_too_little_traffic_gives_no_advice(logged: Logged) -> None:
    later = run("portfolio", "advise", "--config", logged.path, "--since", "2027-01-15T08:02:00+00:00")
    assert "Too little traffic for advice" in later.output
    assert "200 are needed" in later.output


def test_a_sample_of_many_requests(logged: Logged) -> None:
    with sync_engine(logged.location).connect() as connection:
        log = DatabaseLog(connection, BEGAN)
        found = sample(log, shipped_router().checkpoint, most=210)
        assert (len(found.asked.needs), found.of, found.requests) == (210, 258, 260)
        few = replace(found, asked=sample(log, shipped_router().checkpoint, most=10).asked)
    advice = advise(few, placed(load_portfolio(logged.path, {})))
    assert (advice.enough, advice.helpful) == (False, ())


def test_savings_beside_single_models(logged: Logged) -> None:
    found = orjson.loads(run("savings", "--config", logged.path, *SINCE, "--json").output)
    (best,) = found["beside"]
    assert (best["beside"], best["model"]) == ("best", "llama-70b")
    assert best["replay"]["usd"]["difference"]["value"] > 0
    assert best["replay"]["accuracy"]["read_out"]["difference"]["value"] > 0
    assert found["cache"]["hits"] == 2
    assert found["cache"]["unknown"] == 1
    assert found["cache"]["usd"] == pytest.approx(0.00012)
    text = run("savings", "--config", logged.path, *SINCE, columns=60).output
    assert "Beside llama-70b for all, the best single model" in text.replace("\n", " ")
    assert "USD per 1,000 saved" in text.replace("\n", " ")
    assert "points of accuracy lost" in text.replace("\n", " ")
    assert "The exact cache answered 2 requests" in text
    nothing = run("savings", "--config", logged.path, "--since", "2030-01-01").output
    assert "nothing to compare" in nothing.replace("\n", " ")
