"""The section `gateway`: keys and paths are resolved, and settings that contradict each other are reported."""

from pathlib import Path

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.document import Document
from gateway.config.portfolio import DEFAULT_POLICIES
from gateway.config.references import References
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.config.settings_reader import check_writable, resolve_settings


def resolved(folder: Path, written: dict[str, object], **environment: str) -> tuple[Settings, list[str]]:
    path = folder / "p.yaml"
    path.write_text("models: []\n")
    document = Document(path)
    settings = resolve_settings(
        document, References(document, environment), Settings.model_validate(written), DEFAULT_POLICIES
    )
    return settings, [problem.text for problem in document.problems]


def test_keys_come_from_the_environment_and_paths_begin_at_the_file(tmp_path: Path) -> None:
    settings, problems = resolved(
        tmp_path,
        {"keys": ["os.environ/A"], "admin_key": "os.environ/B", "record": "r.db", "responses": None},
        A="sk-a",
        B="sk-b",
    )
    assert not problems
    assert (settings.keys, settings.admin_key) == ((Secret("sk-a"),), Secret("sk-b"))
    assert (settings.record, settings.responses_database) == (tmp_path / "r.db", None)


def test_the_default_record_is_in_the_working_directory(tmp_path: Path) -> None:
    settings, problems = resolved(tmp_path, {})
    assert not problems
    assert (settings.record, settings.responses_database) == (
        Path("locus.db"),
        DatabaseLocation(Path("locus-responses.db")),
    )
    assert settings.model_fields_set == set()


def test_the_default_of_responses_may_be_written(tmp_path: Path) -> None:
    settings, problems = resolved(tmp_path, {"responses": "beside the record", "record": "r.db"})
    assert not problems
    assert settings.responses_database == DatabaseLocation(tmp_path / "r-responses.db")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"host": "0.0.0.0"}, "gateway.host: found '0.0.0.0'; without `keys` only a loopback address is served;"),
        ({"cors_origins": ["*"]}, "gateway.cors_origins[0]: found '*'; without `keys` every web page"),
        ({"keys": ["os.environ/NONE"]}, "gateway.keys[0]: the environment variable NONE is not set"),
        ({"utility_calls": {}}, "gateway.utility_calls: expected `front_ends` or `patterns`"),
        ({"utility_calls": {"patterns": ["("]}}, "gateway.utility_calls.patterns[0]: not a regular expression: "),
        ({"utility_calls": {"front_ends": ["x"]}}, "gateway.utility_calls.front_ends[0]: found 'x', expected one of "),
        ({"utility_calls": {"policy": "x", "patterns": ["a"]}}, "gateway.utility_calls.policy: found 'x', expected one of best"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported(tmp_path: Path, written: dict[str, object], problem: str) -> None:
    _, problems = resolved(tmp_path, written)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_database_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("models: []\n")
    (tmp_path / "file").touch()
    for record, fault in ((tmp_path, "it is a folder or a device"), (tmp_path / "file" / "r.db", "")):
        document = Document(path)
        check_writable(document, Settings(record=record, responses=None))
        (problem,) = document.problems
        assert problem.text.startswith(f"gateway.record: {record} cannot be written: {fault}")
    document = Document(path)
    check_writable(document, Settings(record=tmp_path / "new" / "r.db", responses=None))
    assert not document.problems


SECRET = "p%40ss-word"


def test_the_store_is_a_url_from_the_environment(tmp_path: Path) -> None:
    url = f"postgresql://locus:{SECRET}@db.example:5433/locus?sslmode=require"
    settings, problems = resolved(tmp_path, {"store": "os.environ/STORE"}, STORE=url)
    assert not problems
    assert settings.database == settings.responses_database == DatabaseLocation(url=Secret(url))
    assert str(settings.database) == "postgresql://db.example:5433/locus"
    assert settings.database.redacted("no p@ss-word, no p%40ss-word") == "no ***, no ***"


def test_an_sqlite_store_begins_at_the_file(tmp_path: Path) -> None:
    settings, problems = resolved(tmp_path, {"store": "sqlite:///data/s.db", "record": None})
    assert not problems
    assert settings.database == DatabaseLocation(tmp_path / "data/s.db")
    assert settings.responses_database == DatabaseLocation(tmp_path / "data/s-responses.db")


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://locus:{SECRET}@db/locus",
        f"postgresql://locus:{SECRET}@db",
        f"postgresql://locus:{SECRET}@db:x/locus",
        "postgresql://locus:p@ss-word@db/locus",
        f"postgresql://locus:{SECRET} @db/locus",
        "sqlite://",
        SECRET,
    ],
)
def test_a_wrong_store_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    settings, problems = resolved(tmp_path, {"store": url})
    (problem,) = problems
    assert problem.startswith("gateway.store: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    assert "ss-word" not in problem
    assert settings.store is None


def test_a_store_whose_variable_is_not_set_is_a_problem(tmp_path: Path) -> None:
    _, problems = resolved(tmp_path, {"store": "os.environ/STORE"})
    assert problems == ["gateway.store: the environment variable STORE is not set"]


@pytest.mark.parametrize(("written", "seconds"), [("30d", 2_592_000.0), (3600, 3_600.0), ("12h", 43_200.0)])
def test_retention_is_a_number_of_seconds_or_a_text(tmp_path: Path, written: object, seconds: float) -> None:
    settings, problems = resolved(tmp_path, {"record_retention": written})
    assert not problems
    assert settings.record_retention == seconds


def test_the_export_of_traces_is_resolved(tmp_path: Path) -> None:
    written = {"otel": {"endpoint": "os.environ/COLLECTOR", "headers": {"x-key": "os.environ/KEY"}, "sample": 0.5}}
    settings, problems = resolved(tmp_path, written, COLLECTOR="http://collector:4318", KEY="secret")
    assert not problems
    assert settings.otel is not None
    assert (settings.otel.endpoint, settings.otel.headers) == ("http://collector:4318", {"x-key": Secret("secret")})
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("otel", "problem"),
    [
        ({"endpoint": "collector:4318"}, "begins with http"),
        ({"endpoint": "http://user:pass@collector"}, "user or password"),
        ({"endpoint": "os.environ/COLLECTOR"}, "COLLECTOR is not set"),
        ({"endpoint": "http://c:1", "headers": {"x-key": "os.environ/KEY"}}, "KEY is not set"),
    ],
)
def test_mistakes_in_the_export_of_traces_are_reported(tmp_path: Path, otel: dict[str, object], problem: str) -> None:
    _, problems = resolved(tmp_path, {"otel": otel})
    assert len(problems) == 1
    assert problem in problems[0]
    assert "pass" not in problems[0].replace("password", "")
