"""Public benchmarks from a server on loopback: rows, pages, failures, and the bank that is written."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from router.probes.checkers.answer import Answer
from router.probes.checkers.grade import grade
from router.probes.difficulty import known_difficulty, query_key
from router.probes.fetching.benchmarks import BENCHMARKS
from router.probes.fetching.fetch import fetch, with_difficulty
from router.probes.fetching.rows import FetchError, Server, default_endpoint, offsets, pages, server_from
from router.probes.json_types import JsonObject, JsonValue
from router.probes.probe import Probe, load_bank
from tests.router.probes.fetching.datasets_server import DatasetsServer, datasets_server

GSM8K = ("openai/gsm8k", "main", "test")


@pytest.fixture
def server() -> Iterator[DatasetsServer]:
    with datasets_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def sums(count: int) -> list[dict[str, Any]]:
    return [{"question": f"What is {n} plus 1?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1:,}"} for n in range(count)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probes", *arguments])


def test_a_benchmark_becomes_a_bank(server: DatasetsServer, tmp_path: Path) -> None:
    server.tables[GSM8K] = sums(1_250)
    result = run("fetch", "gsm8k", "-n", "0", "--endpoint", server.url)
    path = tmp_path / "locus" / "banks" / "gsm8k.jsonl"
    assert (result.exit_code, result.stdout) == (0, f"{path}: 1250 probes (MIT)\n")
    assert (
        f"gsm8k: https://huggingface.co/datasets/openai/gsm8k, licence MIT, from {server.url}"
        in result.stderr.replace("\n", "")
    )
    assert [int(query["offset"]) for query, _ in server.calls] == list(range(0, 1_250, 100))
    probes = load_bank("gsm8k").probes
    assert [probe.id for probe in probes] == [f"gsm8k-{n}" for n in range(1_250)]
    assert (probes[1_000].query, probes[1_000].reference) == ("What is 1000 plus 1?", "1001")
    source = json.loads(path.with_name("gsm8k.source.json").read_text())
    assert source == {"name": "gsm8k", "source": "https://huggingface.co/datasets/openai/gsm8k", "licence": "MIT"}
    assert run("check", "gsm8k").exit_code == 0
    assert "gsm8k" in run("list").stdout


def test_fewer_questions_are_spread_over_the_data_and_the_same_each_time(
    server: DatasetsServer, tmp_path: Path
) -> None:
    server.tables[GSM8K] = sums(1_000)
    first = run("fetch", "gsm8k", "-n", "150", "--endpoint", server.url, "--out", str(tmp_path / "a"))
    assert first.exit_code == 0
    assert [int(query["offset"]) for query, _ in server.calls] == [0, 500]
    run("fetch", "gsm8k", "-n", "150", "--endpoint", server.url, "--out", str(tmp_path / "b"))
    texts = [(tmp_path / name / "gsm8k.jsonl").read_text() for name in "ab"]
    assert texts[0] == texts[1]
    numbers = [int(probe.id.split("-")[1]) for probe in load_bank(tmp_path / "a" / "gsm8k.jsonl").probes]
    assert len(numbers) == 150
    assert numbers == sorted(numbers)
    assert 0 < sum(number >= 500 for number in numbers) < 150


@pytest.mark.parametrize(
    ("total", "most", "expected"),
    [(1_319, None, 13), (1_319, 5_000, 13), (1_319, 200, 1), (1_000, 1_000, 9), (99, 1, 0), (0, 10, 0), (100, None, 0)],
)
def test_where_pages_start(total: int, most: int | None, expected: int) -> None:
    starts = offsets(total, most)
    assert len(starts) == expected
    assert starts == sorted(set(starts))
    assert all(start % 100 == 0 and 0 < start < total for start in starts)


def test_failures_that_pass_are_tried_again(server: DatasetsServer) -> None:
    server.tables[GSM8K] = sums(3)
    server.failures = [
        (429, {"retry-after": "0"}, "{}"),
        (503, {"retry-after": "0"}, "busy"),
        (500, {"retry-after": "0"}, ""),
    ]
    assert run("fetch", "gsm8k", "--endpoint", server.url).exit_code == 0
    assert len(server.calls) == 4


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((404, {}, '{"error": "The split does not exist."}'), "status 404: The split does not exist."),
        (
            (403, {}, '{"error": "Gated."}'),
            "status 403: Gated.; HF_TOKEN may name a token of an account that has access",
        ),
        ((200, {}, "<html>"), "not the protocol of the datasets server: JSONDecodeError"),
        ((200, {}, '{"rows": []}'), "not the protocol of the datasets server: KeyError: 'num_rows_total'"),
        (
            (200, {}, '{"rows": [1], "num_rows_total": 1}'),
            "not the protocol of the datasets server: ValueError: a row is no object",
        ),
        ((200, {}, '{"rows": [{"row_idx": "0", "row": {}}], "num_rows_total": 1}'), "row_idx or row has another type"),
        ((200, {}, "[]"), "ValueError: not an object"),
    ],
)
def test_failures_that_stay_end_the_command(
    server: DatasetsServer, failure: tuple[int, dict[str, str], str], message: str
) -> None:
    server.failures = [failure]
    result = run("fetch", "gsm8k", "--endpoint", server.url)
    assert (result.exit_code, len(server.calls)) == (1, 1)
    assert message in result.stderr.replace("\n", " ")
    assert not load_names()


def load_names() -> list[str]:
    from router.probes.folder import user_banks

    return [path.name for path in user_banks()]


def test_six_tries_are_enough(server: DatasetsServer) -> None:
    server.failures = [(500, {}, "")] * 9
    with pytest.raises(FetchError, match=r"openai/gsm8k \(main, test\) at http://127\.0\.0\.1:\d+: status 500$"):
        asyncio.run(fetch(Server(server.url, pause_s=0.001), BENCHMARKS["gsm8k"], None))
    assert len(server.calls) == 6


def test_a_server_that_is_not_there() -> None:
    async def first() -> None:
        async for _ in pages(Server("http://127.0.0.1:1", pause_s=0.001), *GSM8K, None):
            return

    with pytest.raises(FetchError, match=r"at http://127\.0\.0\.1:1: ClientConnectorError"):
        asyncio.run(first())


def test_the_token_is_sent_and_never_shown(server: DatasetsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tables[GSM8K] = sums(2)
    server.token = "hf_secret"
    refused = run("fetch", "gsm8k", "--endpoint", server.url)
    assert refused.exit_code == 1
    assert "status 401: The dataset does not exist" in refused.stderr.replace("\n", " ")
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    accepted = run("fetch", "gsm8k", "--endpoint", server.url)
    assert accepted.exit_code == 0
    server.failures = [(403, {}, "{}")]
    again = run("fetch", "gsm8k", "--endpoint", server.url)
    assert not any("hf_secret" in result.output for result in (refused, accepted, again))
    assert Server("http://example.com", "hf_secret").headers == {}
    assert Server("https://example.com", "hf_secret").headers == {"authorization": "Bearer hf_secret"}


def test_the_address_of_the_server() -> None:
    assert default_endpoint({}) == "https://datasets-server.huggingface.co"
    assert default_endpoint({"HF_ENDPOINT": "https://hub.example.com"}) == "https://datasets-server.hub.example.com"
    assert server_from({}, "http://127.0.0.1:8000/") == Server("http://127.0.0.1:8000")
    with pytest.raises(FetchError, match=r"endpoint 'ftp://x': expected an address that starts with https://"):
        server_from({}, "ftp://x")


def test_a_row_that_was_cut_is_left_out(server: DatasetsServer) -> None:
    server.tables[GSM8K] = sums(5)
    server.truncated = {1, 3}
    probes = asyncio.run(fetch(Server(server.url), BENCHMARKS["gsm8k"], None))
    assert [probe.id for probe in probes] == ["gsm8k-0", "gsm8k-2", "gsm8k-4"]


def test_an_unknown_name() -> None:
    result = run("fetch", "gsm9k")
    assert result.exit_code == 2
    assert "'gsm9k' is none of gsm8k, mmlu_pro, math_l5, mmlu, crux, arc_challenge" in result.stderr.replace(
        "\n", " "
    ).replace("│", "")


def algebra(solution: str, reference: str | None, level: int = 5) -> tuple[str, JsonObject, str | None, JsonValue]:
    """A row of hendrycks_math, and its query and reference; without a reference it becomes no probe."""
    row: JsonObject = {"problem": "Find $x$.", "level": f"Level {level}", "type": "Algebra", "solution": solution}
    return "math_l5", row, None if reference is None else "Find $x$.", reference


ROWS: list[tuple[str, JsonObject, str | None, JsonValue]] = [
    ("gsm8k", {"question": "How many?", "answer": "So 5.\n#### -1,234"}, "How many?", "-1234"),
    ("gsm8k", {"question": "How many?", "answer": "Some."}, None, None),
    (
        "mmlu_pro",
        {"question": "Which?", "options": ["a", "b", "c"], "answer": "C", "category": "law"},
        "Which?\nA. a\nB. b\nC. c",
        "C",
    ),
    ("mmlu_pro", {"question": "Which?", "options": ["a", "b"], "answer": "C", "category": "law"}, None, None),
    ("mmlu", {"question": "Which?", "subject": "law", "choices": ["a", "b"], "answer": 1}, "Which?\nA. a\nB. b", "B"),
    (
        "arc_challenge",
        {"question": "Which?", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"},
        "Which?\nA) a\nB) b",
        "B",
    ),
    ("arc_challenge", {"question": "Which?", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "E"}, None, None),
    ("arc_challenge", {"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}, None, None),
    algebra(r"So $\boxed{\frac{3}{4}}$.", "3/4"),
    algebra(r"$\boxed{10{,}000}$", None),
    algebra(r"$\boxed{12\text{ cm}}$", "12"),
    algebra(r"$\boxed{1,\!234}$", "1234"),
    algebra(r"$\boxed{1,2}$", None),
    algebra(r"$\boxed{2\sqrt{3}}$", None),
    algebra(r"$\boxed{3}$", None, level=4),
    (
        "crux",
        {"code": "def f(x):\n    return [x]\n", "input": "1", "output": "[1]"},
        "[PYTHON]\ndef f(x):\n    return [x]\nassert f(1) == ??\n[/PYTHON]",
        "[1]",
    ),
    ("crux", {"code": "def f(x):\n    return x", "input": "1", "output": "g(1)"}, None, None),
]


@pytest.mark.parametrize(("name", "row", "query", "reference"), ROWS)
def test_the_probe_of_a_row(name: str, row: JsonObject, query: str | None, reference: JsonValue) -> None:
    probe = BENCHMARKS[name].probe(row, "id")
    if query is None:
        assert probe is None
    else:
        assert probe is not None
        assert probe.query.endswith(query)
        assert probe.reference == reference
        assert grade(probe, Answer(f"Answer: {reference}")).score == 1.0


def test_questions_that_known_models_were_asked_have_a_difficulty() -> None:
    from router.probes.checker_spec import CheckerSpec

    unknown = Probe("a", "A question that no model was ever asked, 4711.", "own", CheckerSpec("number"), 1)
    assert with_difficulty([unknown]) == [unknown]
    asked = Probe("b", KNOWN_QUESTION, "mathematics:algebra", CheckerSpec("number"), "3")
    (found,) = with_difficulty([asked])
    difficulty, models = known_difficulty([query_key(KNOWN_QUESTION)])
    assert found.known_models == models[0] > 0
    assert found.difficulty == pytest.approx(difficulty[0], abs=1e-4)


KNOWN_QUESTION = "Compute $29^{13} - 5^{13}$ modulo 7."
