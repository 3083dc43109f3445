from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.record.needs import Needs
from gateway.replay.decider import Asked, Decider
from gateway.replay.logged import DatabaseLog, Log
from gateway.replay.parquet import ParquetLog, write_parquet
from gateway.replay.replay import Differing, replay
from gateway.replay.report import Report
from gateway.routing.standing import Standing
from gateway.store.engines import sync_engine
from gateway.store.tables import REQUESTS
from router.errors import DataError
from router.model.policy import Policy
from tests.gateway.replay.logs import BEGAN, PRICES, Logged, fill, grade, placed, write_portfolio
from tests.gateway.running import shipped_router
from tests.gateway.store.engines import location
from tests.router.dask_cluster import dask

__all__ = ["dask", "location"]


def decider(path: Path, policy: Policy | None = None) -> Decider:
    return Decider(placed(load_portfolio(path, {})), policy)


def replayed(logged: Logged, other: Decider | None = None, log: Log | None = None) -> tuple[Report, Differing]:
    present = decider(logged.path)
    with sync_engine(logged.location).connect() as connection:
        log = log or DatabaseLog(connection)
        (found,) = replay(log, present, [other or present], shipped_router().checkpoint, for_audit=True)
        return found.report, found.differing


@pytest.fixture
def sqlite(tmp_path: Path) -> DatabaseLocation:
    return DatabaseLocation(file=tmp_path / "store.db")


def test_the_present_policy_makes_the_logged_choices_again(tmp_path: Path, location: DatabaseLocation) -> None:
    logged = fill(tmp_path, location)
    report, _ = replayed(logged)
    assert (report.requests, report.replayed, report.not_replayed) == (120, 120, {})
    # The record rounds the encoding to 8 bits, so that a choice between two equal models may turn.
    assert report.same_now >= 0.97
    assert report.differing <= 0.03
    shares = {name: number / 120 for name, number in Counter(logged.chosen).items()}
    assert {name: pair[0] for name, pair in report.models.items() if pair[0]} == pytest.approx(shares)


def test_another_policy_is_more_accurate_dearer_and_slower(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite)
    report, differing = replayed(logged, decider(logged.path, Policy("best")))
    accuracy, usd, ms = report.readout.difference, report.usd.difference, report.ms.difference
    assert accuracy is not None
    assert usd is not None
    assert ms is not None
    assert 0.2 < report.differing <= 1
    assert report.models["llama-70b"][1] > report.models["llama-70b"][0]
    assert accuracy.value > 0
    assert accuracy.low < accuracy.value < accuracy.high
    assert usd.value > 0
    assert ms.value > 0
    assert (report.unpriced, report.untimed) == (0, 0)
    assert len(differing.ids) == round(report.differing * 120)
    assert sum(differing.difference) / 120 == pytest.approx(accuracy.value)
    assert report.as_json()["accuracy"]["read_out"]["difference"]["value"] == accuracy.value


def test_what_a_request_would_have_cost_at_another_model(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite)
    only = write_portfolio(tmp_path / "only.yaml", sqlite, ["mistral-7b"])
    report, _ = replayed(logged, decider(only))
    assert report.usd.other is not None
    assert report.usd.logged is not None
    spent = sum(PRICES[name] * {"llama-8b": 100, "llama-70b": 200, "mistral-7b": 50}[name] for name in logged.chosen)
    answers = Counter(logged.chosen)
    lengths = {"llama-8b": 100, "llama-70b": 200, "mistral-7b": 50}
    mean = sum(lengths[name] for name in logged.chosen) / 120
    usual = {name: (answers[name] * lengths[name] + 20 * mean) / (answers[name] + 20) for name in answers}
    expected = sum(
        round(lengths[name] * usual.get("mistral-7b", mean) / usual[name]) * PRICES["mistral-7b"]
        for name in logged.chosen
    )
    prompt = sum(10 + i % 5 for i in range(120)) * PRICES["mistral-7b"]
    assert report.usd.other.value == pytest.approx((expected + prompt) / 120 / 1e6, rel=1e-3)
    assert report.usd.logged.value == pytest.approx(
        (spent + sum((10 + i % 5) * PRICES[name] for i, name in enumerate(logged.chosen))) / 120 / 1e6
    )


def test_each_request_that_cannot_be_replayed_has_its_reason(tmp_path: Path, location: DatabaseLocation) -> None:
    logged = fill(
        tmp_path,
        location,
        40,
        policy={0: None},
        error={1: "upstreams_failed"},
        served={2: None},
        cache={3: "hit"},
        conversation={4: "kept", 5: "switched"},
        ensemble={12: '{"result": "agreed"}'},
        encoding={6: None},
        checkpoint={7: "0123456789ab"},
        needs={8: None, 9: Needs(models=("gone",)), 10: Needs(("audio",))},
        api={11: "probe", 12: None},  # earlier versions did not record the API
    )
    report, _ = replayed(logged)
    assert report.requests == 39
    assert report.not_replayed == {
        "named": 1,
        "failed": 2,
        "cache": 1,
        "ensemble": 1,
        "conversation": 1,
        "encoding": 1,
        "checkpoint": 1,
        "needs": 1,
        "none_able": 2,
    }
    assert report.replayed == 39 - 11


def test_capabilities_and_the_clients_own_rules_are_respected(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    plain = Needs(prompt_tokens=30)
    logged = fill(
        tmp_path,
        sqlite,
        4,
        needs={
            0: replace(plain, capabilities=("vision",)),
            1: replace(plain, exclude=("llama-70b",)),
            2: replace(plain, models=("mistral-7b",)),
            3: replace(plain, rule=("cost_weight", 1e6)),
        },
    )
    _, differing = replayed(logged, decider(logged.path, Policy("best")))
    other = dict(zip(differing.ids, differing.other, strict=True))
    chosen = [other.get(i + 1, name) for i, name in enumerate(logged.chosen)]
    assert chosen == ["llama-70b", "llama-8b", "mistral-7b", "mistral-7b"]


def test_a_model_that_the_portfolio_no_longer_has_counts_by_what_was_predicted_then(
    tmp_path: Path, sqlite: DatabaseLocation
) -> None:
    logged = fill(tmp_path, sqlite)
    now = write_portfolio(tmp_path / "now.yaml", sqlite, ["llama-70b", "mistral-7b"])
    logged_then, _ = replayed(logged)
    report, _ = replayed(replace(logged, path=now))
    assert report.replayed == 120
    assert report.readout.logged is not None
    assert logged_then.readout.logged is not None
    assert report.readout.logged.value == pytest.approx(logged_then.readout.logged.value, abs=0.003)
    gone = fill(tmp_path, DatabaseLocation(file=tmp_path / "gone.db"), 10, served={0: "gone"}, p_correct={0: None})
    assert replayed(gone)[0].not_replayed == {"unpredicted": 1}


def test_unknown_prices_and_times_are_counted(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite, 60, cost_nusd={1: None})
    with sync_engine(sqlite).begin() as connection:  # as in rows of another program
        connection.execute(update(REQUESTS).where(REQUESTS.c.request_id == "r2").values(latency_ms=None))
    report, _ = replayed(logged)
    assert (report.unpriced, report.untimed) == (1, 1)
    new = write_portfolio(tmp_path / "new.yaml", sqlite, ["llama-70b"])
    few = fill(tmp_path, DatabaseLocation(file=tmp_path / "few.db"), 12)
    report, _ = replayed(few, decider(new))
    assert report.untimed == sum(name != "llama-70b" for name in few.chosen)


def test_graded_requests_speak_where_the_log_explored(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite, 260, propensity=dict.fromkeys(range(260), 0.9))
    scores = {i: (name, float(i % 4 > 0)) for i, name in enumerate(logged.chosen)}
    grade(sqlite, scores)
    grade(sqlite, {0: (logged.chosen[0], 1.0)}, "feedback")  # clients choose what they report
    report, _ = replayed(logged)
    assert report.overlap >= 250
    assert report.snips_covers
    assert report.snips is not None
    assert report.measured is not None
    assert report.doubly_robust is not None
    assert report.measured.value == pytest.approx(0.75)
    assert report.snips.value == pytest.approx(0.75, abs=0.01)
    assert report.doubly_robust.value == pytest.approx(0.75, abs=0.02)
    assert report.why_no_snips == ""


def test_a_log_without_grades_or_exploration_gives_no_snips(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite, 260)
    best = decider(logged.path, Policy("best"))
    assert "0 graded requests" in replayed(logged, best)[0].why_no_snips
    grade(sqlite, {i: (name, 1.0) for i, name in enumerate(logged.chosen)})
    report, _ = replayed(logged)
    assert report.snips is not None
    cheap, _ = replayed(logged, decider(logged.path, Policy("", "cost_weight", 30.0)))
    assert not cheap.snips_covers
    assert cheap.as_json()["accuracy"]["snips"]["other"] is None


def test_an_empty_log_is_reported(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    report, _ = replayed(fill(tmp_path, sqlite, 0))
    assert (report.requests, report.replayed) == (0, 0)
    assert report.as_json()["accuracy"]["read_out"]["logged"] is None


def test_a_period_and_a_number_of_requests(tmp_path: Path, location: DatabaseLocation) -> None:
    logged = fill(tmp_path, location, 30)
    with sync_engine(logged.location).connect() as connection:
        period = DatabaseLog(connection, BEGAN + 10, BEGAN + 20)
        assert [row.request_id for chunk in period.requests() for row in chunk] == [f"r{i}" for i in range(10, 20)]
        assert sum(map(len, period.answers())) == 10
        newest = DatabaseLog(connection, most=5)
        assert [row.request_id for chunk in newest.requests() for row in chunk] == [f"r{i}" for i in range(25, 30)]


def test_parquet_files_give_the_same_report(tmp_path: Path, location: DatabaseLocation) -> None:
    logged = fill(tmp_path, location, 60, served={1: None}, conversation={2: "kept"}, ensemble={4: "{}"}, prompts=True)
    grade(location, {3: (logged.chosen[3], 0.5)})
    folder = tmp_path / "files"
    folder.mkdir()
    with sync_engine(location).connect() as connection:
        for part, period in enumerate([(None, BEGAN + 25), (BEGAN + 25, None)]):
            write_parquet(DatabaseLog(connection, *period), folder / f"part-{part}.parquet")
        rows = [row for chunk in DatabaseLog(connection).requests() for row in chunk]
    assert sorted(path.name for path in folder.iterdir()) == ["part-0.parquet", "part-1.parquet"]
    other = decider(logged.path, Policy("best"))
    log = ParquetLog(folder)
    read = [row for chunk in log.requests() for row in chunk]
    assert [row._replace(has_prompt=True) for row in read] == rows
    from_files, _ = replayed(logged, other, log)
    assert from_files == replayed(logged, other)[0]
    assert sum(map(len, ParquetLog(folder / "part-0.parquet", BEGAN + 5, BEGAN + 8).requests())) == 3


def test_wrong_parquet_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file that ends in .parquet"):
        ParquetLog(tmp_path)
    wrong = tmp_path / "wrong.parquet"
    wrong.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"wrong.parquet"):
        list(ParquetLog(wrong).requests())


def test_predictions_follow_the_reasoning_setting_of_a_request(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    logged = fill(tmp_path, sqlite, 3, needs={1: Needs(prompt_tokens=30, reasoning="high")})
    one = decider(logged.path)
    q = shipped_router().encoder.encode(["What is 7 times 8?"] * 2)
    from gateway.replay.decider import Asked

    found = one.decide(Asked(q, [Needs(), Needs(reasoning="high")], ["best", "no such policy"]))
    assert np.allclose(found.p_correct[0], found.p_correct[1])  # these models have no settings of their own
    assert (found.chosen >= 0).all()


def test_budgets_and_states_of_models_decide_as_in_requests(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    portfolio = load_portfolio(write_portfolio(tmp_path / "portfolio.yaml", sqlite, list(PRICES)), {})
    known, plain = placed(portfolio), Needs(prompt_tokens=30)
    q = shipped_router().encoder.encode(["Prove that there are infinitely many primes."] * 2)
    asked = Asked(q, [plain, replace(plain, cost_factor=1e9)], ["best"] * 2)

    def chosen(standing: Standing) -> list[str]:
        changed = replace(known, standings={**known.standings, "llama-70b": standing})
        other = Decider(changed, Policy("", "cost_weight", 1e-3))
        return [other.names[i] for i in other.decide(asked).chosen]

    assert chosen(Standing()) == ["llama-70b", "mistral-7b"]
    assert chosen(Standing("shadow")) == ["llama-8b", "mistral-7b"]
    assert chosen(Standing("suspect")) == ["llama-8b", "mistral-7b"]  # a standard error less


def test_grades_and_usual_answers_are_those_of_the_request(tmp_path: Path, sqlite: DatabaseLocation) -> None:
    served = dict.fromkeys(range(4), "llama-8b")
    logged = fill(tmp_path, sqlite, 4, served=served, request_id={2: "r0"}, cache={3: "hit"})
    grade(logged.location, {0: ("llama-8b", 1.0), 1: ("llama-70b", 1.0)})  # of an earlier request r0; of another model
    with sync_engine(logged.location).connect() as connection:
        log = DatabaseLog(connection)
        assert [row.score for chunk in log.requests() for row in chunk] == [1.0, None, None, None]
        assert sum(len(chunk) for chunk in log.answers()) == 3


@pytest.mark.slow
def test_every_engine_gives_the_same_report(
    tmp_path: Path, sqlite: DatabaseLocation, dask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is several jobs, in more than one round, and one policy shares the predictions of the other."""
    logged = fill(tmp_path, sqlite)
    monkeypatch.setattr("gateway.replay.logged.CHUNK", 9)
    monkeypatch.setattr("gateway.replay.replayable.CHUNKS_OF_A_JOB", 2)
    monkeypatch.setattr("gateway.replay.replay.JOBS", 4)
    present, other = decider(logged.path), decider(logged.path, Policy("best"))
    with sync_engine(logged.location).connect() as connection:
        log = DatabaseLog(connection)

        def report(other: Decider, engine: str = "local") -> Report:
            (found,) = replay(log, present, [other], shipped_router().checkpoint, engine=engine)
            return found.report

        alone = report(other)
        assert alone.replayed == 120
        assert alone.readout == report(present.with_policy(Policy("best"))).readout
        assert report(other, dask) == alone
        monkeypatch.setattr("gateway.replay.replay.FEWEST_JOBS", 2)
        assert report(other) == alone
