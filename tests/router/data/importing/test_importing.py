"""`locus import`: what is collected, how it is merged and split, and that nothing is written when something is wrong."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from router.commands.import_evaluations import import_
from router.data.dataset import load_dataset
from router.data.importing.collect import CollectedEvaluations, Naming, collect
from router.data.importing.evaluation import Evaluation
from router.data.importing.existing import Target
from router.data.importing.folder import save
from router.data.importing.prompt import assign_split, normalise_prompt, split_key
from router.errors import DataError
from tests.router.datasets import write_dataset

SAMPLES = Path(__file__).parent / "samples"
PLAIN = Naming(None, {})
EXPECTED_SPLITS = [*["train"] * 2, "test", *["train"] * 6, "test", *["train"] * 2]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(import_, [str(argument) for argument in arguments])


def done(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    return result.output


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def scores(folder: Path) -> dict[tuple[str, str], float]:
    """Score by (model, prompt)."""
    data = load_dataset(folder)
    at = zip(*np.nonzero(~np.isnan(data.scores)), strict=True)
    return {(data.models[m], data.prompts[q]): float(data.scores[m, q]) for m, q in at}


def write_csv(path: Path, *records: tuple[object, ...], header: str = "model,prompt,score") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(records)
    return path


def graded(*records: tuple[str, str, float], **fields: Any) -> list[Evaluation]:
    return [
        Evaluation(m, p, s, location=f"row {i}", **({"benchmark": "b"} | fields)) for i, (m, p, s) in enumerate(records)
    ]


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_a_table_becomes_data_that_the_router_loads(tmp_path: Path, name: str) -> None:
    result = done("table", SAMPLES / "table" / name, "--out", tmp_path / "data", "--onboarding", "lab/b")
    data = load_dataset(tmp_path / "data")
    assert data.models == ("lab/a", "lab/b")
    assert data.onboarding.tolist() == [False, True]
    assert data.prompts == ("What is 2 + 2?", "Name the capital of Peru.", 'Compute "3 * 3",\nstep by step.')
    assert data.query_ids.tolist() == [4, 9, 12]
    assert data.benchmarks.tolist() == ["sums", "places", "sums"]
    assert data.splits.tolist() == ["train", "test", "val"]
    np.testing.assert_array_equal(data.scores, np.array([[1, 0.75, np.nan], [0, np.nan, 1]], np.float32))
    assert "1 further scores" in result.output
    assert "places" in result.output
    assert "3 queries, 2 models and 4 evaluations added" in result.output


def test_the_files_have_the_documented_columns_and_types(tmp_path: Path) -> None:
    done("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "data")
    assert rows(tmp_path / "data", "models")[0] == {
        "model": "lab/a",
        "provider": "lab",
        "family": "",
        "params_b": None,
        "onboarding": False,
        "usd_per_query": None,
    }
    assert pq.read_schema(tmp_path / "data" / "queries.parquet").names == [
        "query_id",
        "benchmark",
        "category",
        "prompt",
        "split",
    ]
    schema = pq.read_schema(tmp_path / "data" / "evaluations.parquet")
    assert (schema.field("query_id").type, schema.field("score").type) == (pa.int32(), pa.float32())


def test_the_summary_counts_each_benchmark(tmp_path: Path) -> None:
    output = done("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "data").output
    lines = {
        line.split()[0]: line.split()[1:] for line in output.splitlines() if line.startswith(("places", "sums", "all"))
    }
    assert lines == {
        "places": ["1", "1", "1", "1.00", "0.750"],
        "sums": ["2", "2", "3", "0.75", "0.667"],
        "all": ["2", "3", "4", "0.67", "0.688"],
    }


def test_the_command_starts_without_torch_pyarrow_or_pandas() -> None:
    code = (
        "import sys, router.commands.import_evaluations; from gateway.commands.main import main;"
        "assert main.get_command(None, 'import').name == 'import';"
        "assert not {'torch', 'pyarrow', 'pandas', 'numpy'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (("lab/a", "Why?", "1.5"), ["line 3", "score of lab/a is '1.5'", "from 0 to 1"]),
        (("lab/a", "Why?", "-0.1"), ["line 3", "'-0.1'"]),
        (("lab/a", "Why?", "nan"), ["line 3", "'nan'"]),
        (("lab/a", "Why?", ""), ["line 3", "score of lab/a is ''"]),
        (("lab/a", "Why?", "good"), ["line 3", "'good'"]),
        (("lab/a", "  ", "1"), ["line 3", "prompt is empty"]),
        ((" ", "Why?", "1"), ["line 3", "model is empty"]),
        (("lab/a", "Why?", "1", "more"), ["line 3", "4 fields, expected 3"]),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(tmp_path: Path, record: tuple[object, ...], says: list[str]) -> None:
    file = write_csv(tmp_path / "a.csv", ("lab/a", "First?", 1), record)
    output = refused("table", file, "--out", tmp_path / "data").replace("\n", " ")
    assert [part for part in [str(file), *says] if part not in output] == [], output
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", ["line 1", "column model, prompt, score is missing", "it has none"]),
        ("a.csv", b"model,prompt\nx,y\n", ["line 1", "column score is missing", "model, prompt"]),
        ("a.csv", b"model,model,prompt,score\n", ["line 1", "column model occurs more than once"]),
        ("a.csv", b"model,prompt,score\n", ["no evaluations found"]),
        ("a.csv", b'model,prompt,score\nx,"y\n', ["line 2", "not readable as CSV"]),
        ("a.csv", b"model,prompt,score\nx,\xff,1\n", ["not readable as CSV", "utf-8"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1}\n{"model": \n', ["line 2", "not readable as JSON"]),
        ("a.jsonl", b"[1]\n", ["line 1", "expected a JSON object, found list"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y"}\n', ["line 1", "score is missing", "model, prompt"]),
        ("a.jsonl", b'{"model": "x", "prompt": 7, "score": 1}\n', ["line 1", "prompt is 7, expected text"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": null}\n', ["line 1", "score of x is None"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": [1]}\n', ["line 1", "score of x is [1]"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1e400}\n', ["line 1", "score of x is inf"]),
        ("a.jsonl", b'{"model": "x", "prompt": "\\ud800", "score": 1}\n', ["line 1", "prompt is not valid Unicode"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1, "query_id": 1.5}\n', ["line 1", "query_id is 1.5"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1, "query_id": -1}\n', ["query_id -1"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1, "query_id": 2147483648}\n', ["query_id 2147483648"]),
        ("a.jsonl", b'{"model": "x", "prompt": "y", "score": 1, "split": "dev"}\n', ["line 1", "split is 'dev'"]),
        ("a.jsonl", b"[" * 100_000, ["line 1", "not readable as JSON"]),
        ("a.txt", b"", ["expected a .csv or .jsonl file"]),
    ],
)
def test_an_unreadable_table_is_named(tmp_path: Path, name: str, content: bytes, says: list[str]) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    output = refused("table", file, "--out", tmp_path / "data")
    assert [part for part in says if part not in output] == [], output
    assert sorted(tmp_path.iterdir()) == [file]


def test_query_ids_that_contradict_the_prompts_are_refused(tmp_path: Path) -> None:
    header = "model,prompt,score,query_id"
    two = write_csv(tmp_path / "a.csv", ("m", "x", 1, 5), ("m", "y", 1, 5), header=header)
    assert "line 3: query_id 5 had another prompt before" in refused("table", two, "--out", tmp_path / "data")
    one = write_csv(tmp_path / "b.csv", ("m", "x", 1, 5), ("m", "x ", 1, 6), header=header)
    assert "line 3: query_id 6 has the prompt of query_id 5" in refused("table", one, "--out", tmp_path / "data")


def test_a_long_prompt_is_read_whole(tmp_path: Path) -> None:
    long = "word " * 100_000 + "end"
    done("table", write_csv(tmp_path / "a.csv", ("m", long, 1)), "--out", tmp_path / "data")
    assert load_dataset(tmp_path / "data").prompts == (long,)


def test_several_scores_are_averaged_and_equal_texts_are_one_query() -> None:
    found = collect(
        graded(("m", "caf\u00e9?", 1), ("m", " cafe\u0301?\r\n", 0), ("m", "Cafe?", 1), ("n", "caf\u00e9?", 1)), PLAIN
    )
    assert [query.prompt for query in found.queries] == ["caf\u00e9?", "Cafe?"]
    assert list(zip(found.model.tolist(), found.query.tolist(), found.score.tolist(), strict=True)) == [
        (0, 0, 0.5),
        (0, 1, 1.0),
        (1, 0, 1.0),
    ]


def test_a_benchmark_given_by_hand_makes_the_stated_one_the_category() -> None:
    stated = [
        Evaluation("m", "x", 1, "mmlu_law", "row 0"),
        Evaluation("m", "y", 1, "mmlu_law", "row 1", category="law"),
    ]
    found = collect(stated, Naming("mmlu", {"m": "lab/m"}))
    assert [(query.benchmark, query.category) for query in found.queries] == [("mmlu", "mmlu_law"), ("mmlu", "law")]
    assert found.models == ("lab/m",)


def test_a_question_of_two_benchmarks_or_splits_is_reported() -> None:
    first = Evaluation("m", "x", 1, "one", "row 0", split="train")
    second = Evaluation("m", "x", 1, "two", "row 1", split="test")
    found = collect([first, second, first], PLAIN)
    assert (found.queries[0].benchmark, found.queries[0].split) == ("one", "test")
    assert any("several benchmarks" in note for note in found.notes)
    assert any("several splits" in note for note in found.notes)


def test_two_names_of_one_model_are_joined_by_rename(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", ("gpt-x", "x", 1), ("openai/gpt-x", "x", 0))
    done("table", file, "--out", tmp_path / "data", "--rename", "gpt-x=openai/gpt-x")
    assert scores(tmp_path / "data") == {("openai/gpt-x", "x"): 0.5}
    assert run("table", file, "--out", tmp_path / "other", "--rename", "gpt-x").exit_code == 2


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=30).filter(str.strip), st.integers(0, 3))
def test_a_question_has_one_split_whatever_its_blanks_and_capitals(prompt: str, seed: int) -> None:
    assert assign_split(split_key(f"\t{prompt}\n"), seed) == assign_split(split_key(prompt), seed)
    assert normalise_prompt(normalise_prompt(prompt)) == normalise_prompt(prompt)
    assert split_key(normalise_prompt(prompt)) == split_key(prompt)


def test_splits_are_divided_seven_one_two_and_never_change() -> None:
    splits = [assign_split(split_key(f"Question {i}?")) for i in range(20_000)]
    shares = [splits.count(name) / len(splits) for name in ("train", "val", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.01)
    # Written down: an import next year must not move a test question into training.
    assert [assign_split(split_key(f"Question {i}?")) for i in range(12)] == EXPECTED_SPLITS
    assert splits != [assign_split(split_key(f"Question {i}?"), 1) for i in range(20_000)]


def test_questions_alike_share_the_most_held_out_stated_split(tmp_path: Path) -> None:
    stated = [
        Evaluation("m", "What is 2 + 2?", 1, "b", "row 0", split="train"),
        Evaluation("m", "what is 2 +  2?", 1, "b", "row 1", split="test"),
        Evaluation("m", "WHAT IS 2 + 2?", 1, "b", "row 2"),
    ]
    save(collect(stated, PLAIN), Target(tmp_path / "data"))
    assert load_dataset(tmp_path / "data").splits.tolist() == ["test"] * 3


def test_the_order_of_rows_does_not_change_any_split(tmp_path: Path) -> None:
    prompts = [f"Question {i}?" for i in range(50)]
    for name, order in (("a", prompts), ("b", prompts[::-1])):
        save(collect(graded(*(("m", p, 1.0) for p in order)), PLAIN), Target(tmp_path / name))
    a, b = (load_dataset(tmp_path / name) for name in "ab")
    assert dict(zip(a.prompts, a.splits, strict=True)) == dict(zip(b.prompts, b.splits, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(["lab/a", "b", "研究/c"]),
            st.text(min_size=1, max_size=8).map(normalise_prompt).filter(bool),
        ),
        st.floats(0, 1, width=32),
        min_size=1,
        max_size=12,
    )
)
def test_what_goes_in_is_what_loads(
    tmp_path_factory: pytest.TempPathFactory, answers: dict[tuple[str, str], float]
) -> None:
    folder = tmp_path_factory.mktemp("round") / "data"
    save(collect(graded(*((m, p, s) for (m, p), s in answers.items())), PLAIN), Target(folder))
    assert scores(folder) == answers


def test_a_folder_with_something_in_it_needs_append(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "data")
    assert "--append" in refused("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "data")
    (tmp_path / "file").write_text("")
    assert "expected a folder" in refused("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "file")


def test_append_keeps_ids_and_splits_and_matches_by_text(tmp_path: Path) -> None:
    old = write_dataset(tmp_path / "data", 20)
    before = load_dataset(old)
    known, split = before.prompts[7], before.splits[7]
    new = write_csv(
        tmp_path / "a.csv",
        ("lab/fresh", f" {known} ", 0.25, "elsewhere", ""),
        ("lab/fresh", known.upper(), 1, "elsewhere", ""),
        ("lab/adder", "A new question?", 1, "elsewhere", "val"),
        header="model,prompt,score,benchmark,split",
    )
    result = done("table", new, "--out", old, "--append", "--onboarding", "lab/fresh")
    after = load_dataset(old)
    assert after.prompts[:20] == before.prompts
    assert after.query_ids.tolist() == [*before.query_ids.tolist(), 1020, 1021]
    assert after.splits.tolist() == [*before.splits.tolist(), split, "val"]
    assert after.benchmarks.tolist() == [*before.benchmarks.tolist(), "elsewhere", "elsewhere"]
    assert after.models == (*before.models, "lab/fresh")
    assert after.onboarding.tolist() == [*before.onboarding.tolist(), True]
    np.testing.assert_array_equal(after.scores[:4, :20], before.scores)
    assert after.scores[4, 7] == 0.25
    assert "2 queries, 1 models and 3 evaluations added" in result.output


def test_append_prefers_the_query_of_its_benchmark(tmp_path: Path) -> None:
    queries = [{"query_id": i, "benchmark": b, "prompt": "x", "split": "train"} for i, b in enumerate(("one", "two"))]
    folder = write_dataset(
        tmp_path / "data",
        queries=pa.Table.from_pylist(queries),
        models=pa.Table.from_pylist([{"model": "m"}]),
        evaluations=pa.Table.from_pylist([{"model": "m", "query_id": 0, "score": 1.0}]),
    )
    save(collect(graded(("n", "x", 0.5), benchmark="two"), PLAIN), Target(folder, append=True))
    save(collect(graded(("o", "x", 0.5), benchmark="three"), PLAIN), Target(folder, append=True))
    np.testing.assert_array_equal(load_dataset(folder).scores, [[1, np.nan], [np.nan, 0.5], [0.5, np.nan]])


def conflicting(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "data"
    done("table", write_csv(tmp_path / "old.csv", ("m", "x", 1), ("m", "y", 0)), "--out", folder)
    return folder, write_csv(tmp_path / "new.csv", ("m", "x", 0.5), ("m", "y", 0), ("m", "z", 1))


def test_another_score_for_an_old_pair_is_refused_unless_told(tmp_path: Path) -> None:
    folder, new = conflicting(tmp_path)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    output = refused("table", new, "--out", folder, "--append")
    assert "score of m on query 0 is 1 there, 0.5 in the import (1 such pairs)" in output
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(("decision", "stands"), [("keep", 1.0), ("replace", 0.5)])
def test_a_conflict_is_decided_by_option(tmp_path: Path, decision: str, stands: float) -> None:
    folder, new = conflicting(tmp_path)
    output = done("table", new, "--out", folder, "--append", "--conflicts", decision).output
    assert scores(folder) == {("m", "x"): stands, ("m", "y"): 0.0, ("m", "z"): 1.0}
    assert "1 scores differ" in output


def test_appending_the_same_again_changes_nothing(tmp_path: Path) -> None:
    done("lm-eval", SAMPLES / "lm_eval", "--filter", "strict-match", "--out", tmp_path / "data")
    before = {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}
    output = done(
        "lm-eval", SAMPLES / "lm_eval", "--filter", "strict-match", "--out", tmp_path / "data", "--append"
    ).output
    assert "0 queries, 0 models and 0 evaluations added" in output
    assert {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()} == before


def test_append_keeps_other_columns_and_files(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 4)
    queries = pq.read_table(folder / "queries.parquet")
    queries = queries.append_column("source", pa.array(["a"] * 4)).append_column("category", pa.array(["c"] * 4))
    pq.write_table(queries, folder / "queries.parquet")
    models = pq.read_table(folder / "models.parquet").append_column("params_b", pa.array([7.0] * 4, pa.float64()))
    pq.write_table(models, folder / "models.parquet")
    (folder / "prices.csv").write_text("model,usd\n")
    done("table", SAMPLES / "table" / "answers.csv", "--out", folder, "--append")
    assert [row["source"] for row in rows(folder, "queries")] == ["a"] * 4 + [None] * 3
    assert [row["params_b"] for row in rows(folder, "models")] == [7.0] * 4 + [None] * 2
    assert sorted(file.name for file in folder.iterdir()) == [
        "evaluations.parquet",
        "models.parquet",
        "prices.csv",
        "queries.parquet",
    ]


def test_an_addition_cut_short_leaves_data_that_loads(tmp_path: Path) -> None:
    """The files are put in place one after the other; whichever was the last, the old evaluations are all there."""
    old = write_dataset(tmp_path / "old", 20)
    new = shutil.copytree(old, tmp_path / "new")
    done("table", SAMPLES / "table" / "answers.csv", "--out", new, "--append")
    before = load_dataset(old)
    for name in ("queries.parquet", "models.parquet"):
        shutil.copy(new / name, old)
        between = load_dataset(old)
        np.testing.assert_array_equal(between.scores[: len(before.models), :20], before.scores)
        assert np.isnan(between.scores[:, 20:]).all()


def test_append_to_damaged_data_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 4)
    (folder / "models.parquet").write_bytes(b"x")
    output = refused("table", SAMPLES / "table" / "answers.csv", "--out", folder, "--append")
    assert "models.parquet: not a readable parquet file" in output
    (folder / "models.parquet").unlink()
    assert "no such file" in refused("table", SAMPLES / "table" / "answers.csv", "--out", folder, "--append")


def test_a_query_id_of_another_prompt_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 4)
    new = write_csv(tmp_path / "a.csv", ("m", "Something else?", 1, 1002), header="model,prompt,score,query_id")
    assert "query_id 1002 is that of another prompt" in refused("table", new, "--out", folder, "--append")


def test_a_held_out_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    output = refused("table", SAMPLES / "table" / "answers.csv", "--out", tmp_path / "data", "--onboarding", "lab/c")
    assert "--onboarding lab/c" in output
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    collected: CollectedEvaluations = collect(graded(("m", "x", 1.0)), PLAIN)
    with pytest.raises(DataError, match="cannot be written"):
        save(collected, Target(tmp_path / "blocked" / "data"))
    assert [file.name for file in tmp_path.iterdir()] == ["blocked"]


def test_a_question_new_to_the_folder_gets_the_next_id_whatever_its_source_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    file = tmp_path / "a.jsonl"
    records: list[dict[str, Any]] = [{"prompt": "x", "query_id": 3}, {"prompt": "y"}, {"prompt": "z", "query_id": 8}]
    file.write_text("\n".join(json.dumps({"model": "m", "score": 1} | record) for record in records), encoding="utf-8")
    done("table", file, "--out", folder)
    assert load_dataset(folder).query_ids.tolist() == [3, 9, 8]
    done("table", write_csv(tmp_path / "b.csv", ("m", "w", 1)), "--out", folder, "--append")
    assert load_dataset(folder).query_ids.tolist() == [3, 9, 8, 10]


def test_append_to_the_public_data_keeps_it(evaluations: Path, tmp_path: Path) -> None:
    """Its first 2,000 queries, with the columns and types as published."""
    folder = tmp_path / "data"
    folder.mkdir()
    queries = pq.read_table(evaluations / "queries.parquet").slice(0, 2000)
    answers = pq.read_table(evaluations / "evaluations.parquet")
    pq.write_table(queries, folder / "queries.parquet")
    pq.write_table(answers.filter(pc.is_in(answers["query_id"], queries["query_id"])), folder / "evaluations.parquet")
    shutil.copy(evaluations / "models.parquet", folder)
    before = load_dataset(folder)
    new = write_csv(tmp_path / "a.csv", ("lab/new", before.prompts[100], 1), ("lab/new", "Unheard of?", 0))
    done("table", new, "--out", folder, "--append")
    after = load_dataset(folder)
    np.testing.assert_array_equal(after.scores[:-1, :-1], before.scores)
    assert after.prompts[:-1] == before.prompts
    assert np.flatnonzero(~np.isnan(after.scores[-1])).tolist() == [100, len(before.prompts)]
    assert rows(folder, "models")[:-1] == rows(evaluations, "models")
