"""`locus probes`: list, show, check, and banks made of recorded questions."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from router.probes.probe import load_bank
from tests.gateway.commands.test_show_log import record, write

pytestmark = pytest.mark.anyio
GOOD = '{"id": "a", "query": "2 + 2?", "checker": "number", "reference": 4}'


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["probes", *map(str, arguments)])


def bank(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_list_names_what_is_here_and_what_can_be_fetched(tmp_path: Path) -> None:
    bank(tmp_path / "data" / "locus" / "banks", GOOD)
    rows = {row["bank"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["locus-bank"]["probes"] > 550
    assert rows["mine"] == {
        "bank": "mine",
        "probes": 1,
        "kinds": 1,
        "source": str(tmp_path / "data/locus/banks/mine.jsonl"),
    }
    assert rows["gsm8k"]["source"] == "MIT; locus probes fetch gsm8k"
    assert {"mmlu_pro", "math_l5", "mmlu", "crux", "arc_challenge"} < set(rows)


def test_a_broken_bank_is_listed_with_its_error(tmp_path: Path) -> None:
    path = bank(tmp_path / "data" / "locus" / "banks", GOOD, "{}")
    rows = {row["bank"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["mine"]["source"] == f"{path}: line 2: query: missing"


def test_show_counts_kinds_and_prints_a_probe_in_full(tmp_path: Path) -> None:
    path = bank(
        tmp_path,
        GOOD,
        '{"id": "b", "query": "Say hi", "kind": "manners", "checker": {"type": "regex", "pattern": "hi"}}',
    )
    counts = [line.split() for line in run("show", path).stdout.splitlines()[1:]]
    assert counts == [["manners", "regex", "1"], ["own", "number", "1"]]
    shown = run("show", path, "b").stdout
    assert shown.splitlines() == [
        "b  (manners, at most 512 tokens)",
        "    Say hi",
        '    checker: {"type": "regex", "pattern": "hi"}',
        "    reference: null",
    ]
    assert [json.loads(line)["id"] for line in run("show", path, "--json").stdout.splitlines()] == ["a", "b"]
    unknown = run("show", path, "c")
    assert (unknown.exit_code, unknown.stderr) == (1, "Error: mine: no probe 'c'\n")


def test_check_of_a_good_bank(tmp_path: Path) -> None:
    path = bank(tmp_path, GOOD)
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (
        0,
        f"{path}: 1 probes, each valid, and each reference graded as right\n",
    )


def test_check_names_every_line_that_is_wrong(tmp_path: Path) -> None:
    path = bank(
        tmp_path,
        GOOD,
        '{"query": "3 + 3?", "checker": "numbers", "reference": 6}',
        GOOD,
        '{"id": "e", "query": "Say hi", "checker": {"type": "regex", "pattern": "^hi$"}, "reference": "hello"}',
        '{"id": "f", "query": "Write f", "checker": {"type": "python", "tests": "assert f() == 1"}, "reference": "def f(): return 2"}',
    )
    result = run("check", path)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{path}: line 2: checker: unknown type 'numbers'")
    assert lines[1:] == [
        f"{path}: line 3: id: 'a' is also the id at {path}: line 1",
        f"{path}: line 4: reference: 'hello' is wrong by the checker regex itself",
        f"{path}: line 5: reference: 'def f(): return 2' is wrong by the checker python itself",
        f"Error: {path}: 4 problems in 5 probes",
    ]


def test_check_of_a_file_without_probes(tmp_path: Path) -> None:
    path = bank(tmp_path, "")
    assert run("check", path).stderr == f"Error: {path}: no probes\n"
    assert run("check", "none").stderr.startswith("Error: none: no bank of that name; there are locus-bank")


def asked(text: str, *earlier: dict[str, str]) -> str:
    return json.dumps([*earlier, {"role": "user", "content": text}])


async def test_recorded_questions_become_a_bank_for_a_judge(tmp_path: Path) -> None:
    system = {"role": "system", "content": "You are a helpful cook."}
    turn = [{"role": "user", "content": "How do I boil rice?"}, {"role": "assistant", "content": "With water."}]
    prompts: list[dict[str, Any]] = [
        {"prompt": asked("How long do I boil a soft egg?")},
        {"prompt": asked("How long do I  boil a SOFT egg?", system)},
        {"prompt": asked("And what about brown rice then?", *turn)},
        {"prompt": asked("go on")},
        {"prompt": asked("What is a probe of our own?"), "api": "probe"},
        {"prompt": json.dumps(["an input of an embedding"]), "api": "embeddings"},
        {"prompt": asked("Which flour is best for pizza dough?", system)},
        {},
    ]
    path = await write(tmp_path / "locus.db", *(record(n, **{"api": "chat", **more}) for n, more in enumerate(prompts)))
    out = tmp_path / "traffic.jsonl"
    result = run("from-log", "--db", path, "--out", out, "--rubric", "It is right.", "--max-tokens", "99")
    assert (result.exit_code, result.stdout) == (0, f"{out}: 2 probes, graded by a judge\n")
    probes = load_bank(out).probes
    assert [probe.query for probe in probes] == [
        "Which flour is best for pizza dough?",
        "How long do I  boil a SOFT egg?",
    ]
    assert {probe.kind for probe in probes} == {"traffic"}
    assert probes[0].checker.as_json() == {"type": "judge", "rubric": "It is right."}
    assert probes[0].max_tokens == 99
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run("from-log", "--db", path, "--out", out, "-n", "1").exit_code == 0
    assert [probe.query for probe in load_bank(out).probes] == ["Which flour is best for pizza dough?"]
    assert run("check", out).exit_code == 0


async def test_a_record_without_prompts(tmp_path: Path) -> None:
    path = await write(tmp_path / "locus.db", record(1))
    result = run("from-log", "--db", path, "--out", tmp_path / "traffic.jsonl")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the record has no questions: `store_prompts: true` in the portfolio keeps")
    assert not (tmp_path / "traffic.jsonl").exists()
