"""Each format from files as its project writes them: lm-evaluation-harness 0.4.13, Inspect 0.3.285, EmbedLLM's columns."""

import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.data.importing import embedllm, inspect_log, lm_eval, routerbench
from router.data.importing.evaluation import Evaluation, Skipped
from router.data.importing.lm_eval import Choice
from router.errors import DataError
from tests.router.data.importing.test_importing import done, refused, rows, scores

SAMPLES = Path(__file__).parent / "samples"
SOLVER = SAMPLES / "lm_eval" / "acme__solver-7b"
LONG = "Read the following. " + "Lorem ipsum dolor sit amet. " * 8 + "What is the capital of Egypt?"
FIRST = "Which letter comes first?\nA. b\nB. a\nC. c"
LAST = "Which letter comes last?\nA. x\nB. z"


def names(says: list[str], act: Callable[[], object]) -> None:
    """`act` fails with a DataError that names all of `says`."""
    with pytest.raises(DataError) as caught:
        act()
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


def samples_of(folder: Path, task: str) -> Path:
    return next(folder.glob(f"samples_{task}_*.jsonl"))


# EmbedLLM


def test_embedllm_keeps_the_splits_of_its_files(tmp_path: Path) -> None:
    output = done("embedllm", SAMPLES / "embedllm", "--out", tmp_path / "data").output
    queries = rows(tmp_path / "data", "queries")
    assert [(q["benchmark"], q["category"], q["split"]) for q in queries] == [
        ("gsm8k", "", "train"),
        ("mmlu", "mmlu_anatomy", "train"),
        ("gpqa", "gpqa_main_n_shot", "test"),  # in test.csv too, under another task: it must not be trained on
        ("piqa", "", "val"),
        ("truthfulqa_mc1", "", "test"),
    ]
    particle = 'Which of these particles, if any, has a "strange" quark?\nA. proton\nB. kaon'
    assert scores(tmp_path / "data")["meta-llama/Llama-2-7b-chat-hf", particle] == 0.5
    assert "1 questions are stated in several splits" in output


def test_embedllm_looks_prompts_and_models_up_by_id(tmp_path: Path) -> None:
    for name in ("question_order.csv", "model_order.csv"):
        shutil.copy(SAMPLES / "embedllm" / name, tmp_path)
    (tmp_path / "train_small.csv").write_text("prompt_id,model_id,label\n3,5,1\n3,9,0\n")
    found = list(embedllm.read([tmp_path / "train_small.csv"]))
    whole = [e for e in embedllm.read([SAMPLES / "embedllm" / "train.csv"]) if isinstance(e, Evaluation)]
    assert [(e.model, e.prompt) for e in found] == [(e.model, e.prompt) for e in whole[1:3]]
    assert [(e.benchmark, e.split, e.score) for e in found] == [("embedllm", "train", "1"), ("embedllm", "train", "0")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prompt_id,model_id\n3,5\n", ["line 1", "column label is missing"]),
        ("model_name,label\nm,1\n", ["line 2", "neither prompt nor prompt_id"]),
        ("model_name,prompt_id,label\nm,3,1\n", ["line 2", "no column prompt", "question_order.csv"]),
        ("prompt,model_id,label\nx,77,1\n", ["line 2", "model_id '77' is not in", "model_order.csv"]),
    ],
)
def test_embedllm_names_what_is_missing(tmp_path: Path, content: str, says: list[str]) -> None:
    shutil.copy(SAMPLES / "embedllm" / "model_order.csv", tmp_path)
    (tmp_path / "train.csv").write_text(content)
    names([str(tmp_path / "train.csv"), *says], lambda: list(embedllm.read([tmp_path])))


def test_a_folder_without_embedllm_files_is_refused(tmp_path: Path) -> None:
    names([str(tmp_path), "none of train.csv"], lambda: list(embedllm.read([tmp_path])))


# RouterBench


ROUTERBENCH = SAMPLES / "routerbench" / "routerbench_0shot.parquet"  # written by pandas 2.3 from a pickle


def test_routerbench_gives_scores_costs_and_questions(tmp_path: Path) -> None:
    output = done("routerbench", ROUTERBENCH, "--out", tmp_path / "data").output
    queries = rows(tmp_path / "data", "queries")
    assert [(q["benchmark"], q["category"]) for q in queries] == [
        ("mmlu", "mmlu-professional-psychology"),
        ("mbpp", ""),
        ("mtbench", ""),
        ("grade-school-math", ""),
    ]
    assert queries[2]["prompt"] == "Draft a letter.\n\nNow make it shorter."
    assert queries[3]["prompt"] == "Tom has 3 apples, it's late. How many?"
    assert queries[0]["prompt"].startswith("Please answer with the letter of the correct answer.\n\nWhich value?\n")
    found = scores(tmp_path / "data")
    assert found["claude-v1", queries[2]["prompt"]] == 0.75
    assert ("gpt-4-1106-preview", queries[2]["prompt"]) not in found  # an empty cell is no wrong answer
    assert len(found) == 11
    costs = {row["model"]: row["usd_per_query"] for row in rows(tmp_path / "data", "models")}
    assert costs["claude-v1"] == pytest.approx(0.0002)
    assert costs["gpt-4-1106-preview"] == pytest.approx(0.0003)
    assert "1 empty cells left out" in output


def test_routerbench_takes_the_last_part_alone(tmp_path: Path) -> None:
    done("routerbench", ROUTERBENCH, "--parts", "last", "--out", tmp_path / "data")
    assert rows(tmp_path / "data", "queries")[2]["prompt"] == "Now make it shorter."


@pytest.mark.parametrize("name", ["routerbench_0shot.pkl", "table.PICKLE"])
def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path, name: str) -> None:
    witness, file = tmp_path / "ran", tmp_path / name
    file.write_bytes(b"cos\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR.")  # a pickle that runs a command
    with pytest.raises(DataError) as caught:
        list(routerbench.read([file]))
    stem = name.partition(".")[0]
    command = f"pandas.read_pickle('{name}').to_parquet('{stem}.parquet')"
    assert command in str(caught.value)
    assert "unpickling a file can run code" in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [file]


def routerbench_file(path: Path, **columns: list[Any]) -> Path:
    complete = {"prompt": ["['Why?']"], "eval_name": ["arc"], "m": [1.0], "m|total_cost": [0.5]} | columns
    pq.write_table(pa.table({name: values for name, values in complete.items() if values}), path)
    return path


def test_routerbench_costs_that_are_no_amount_are_left_out(tmp_path: Path) -> None:
    for cost, usd in ((0.5, 0.5), (-1.0, None), (float("inf"), None), ("free", None), (None, None)):
        file = routerbench_file(tmp_path / "t.parquet", **{"m|total_cost": [cost]})
        assert list(routerbench.read([file])) == [Evaluation("m", "Why?", 1.0, "arc", f"{file}: row 0", usd=usd)]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"prompt": []}, ["column prompt is missing; it has eval_name, m, m|total_cost"]),
        ({"m|total_cost": []}, ["no column NAME beside NAME|total_cost; it has prompt, eval_name, m"]),
        ({"prompt": [7]}, ["row 0: prompt is 7, expected text"]),
        ({"eval_name": [None]}, ["row 0: eval_name is None, expected text"]),
        ({"prompt": [b"\xff"]}, ["row 0: prompt is b'\\xff', expected text"]),
    ],
)
def test_routerbench_names_what_is_wrong(tmp_path: Path, columns: dict[str, list[Any]], says: list[str]) -> None:
    file = routerbench_file(tmp_path / "t.parquet", **columns)
    names([str(file), *says], lambda: list(routerbench.read([file])))


def test_routerbench_needs_a_parquet_file(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    file.write_bytes(b"PAR1 and no more")
    names([str(file), "not a readable parquet file"], lambda: list(routerbench.read([file])))


@pytest.mark.parametrize(
    ("printed", "question"),
    [
        ("['x']", "x"),
        ("[\"it's\", 'b']", "it's\n\nb"),
        ("plain", "plain"),
        ("[1, 2]", "[1, 2]"),
        ("[", "["),
        ("[]", "[]"),
        ("[x]", "[x]"),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_printed_list_is_read_as_its_parts(printed: str, question: str) -> None:
    assert routerbench._question(printed, last_part=False) == question


# lm-evaluation-harness


def test_lm_eval_reads_a_run_of_two_models(tmp_path: Path) -> None:
    done("lm-eval", SAMPLES / "lm_eval", "--filter", "flexible-extract", "--out", tmp_path / "data")
    found = scores(tmp_path / "data")
    peru = "Which city is the capital of Peru?\nA. Lima\nB. Quito\nC. La Paz"
    pens = "Ann has 3 pens and buys 4 more. How many pens has she?"
    assert found["acme/solver-7b", peru] == 1.0
    assert found["acme/solver-7b", pens] == 1.0
    assert found["acme/solver-7b", "Say the opposite of up."] == 0.0
    assert found["acme/talker-1b", "Say the opposite of up."] == 1.0
    assert len(found) == 14
    assert {q["benchmark"] for q in rows(tmp_path / "data", "queries")} == {"sums", "places", "odd"}


def test_lm_eval_scores_agree_with_the_results_file() -> None:
    for folder in (SOLVER, SAMPLES / "lm_eval" / "acme__talker-1b"):
        results = json.loads(next(folder.glob("results_*.json")).read_text(encoding="utf-8"))
        for name in ("strict-match", "flexible-extract"):
            found = [float(str(e.score)) for e in lm_eval.read([samples_of(folder, "sums")], Choice(filter=name))]
            assert sum(found) / len(found) == pytest.approx(results["results"]["sums"][f"exact_match,{name}"])
        for name in ("acc", "acc_norm"):
            found = [float(str(e.score)) for e in lm_eval.read([samples_of(folder, "places")], Choice(metric=name))]
            assert sum(found) / len(found) == pytest.approx(results["results"]["places"][f"{name},none"])


def test_few_shot_examples_are_not_part_of_a_prompt() -> None:
    found = list(lm_eval.read([samples_of(SOLVER, "sums")], Choice(filter="strict-match")))
    assert [e.prompt for e in found] == [
        "Ann has 3 pens and buys 4 more. How many pens has she?",
        "A box holds 12 eggs. How many eggs are in 3 boxes?",
        "Ben had 9 coins and lost 2. How many are left?",
    ]


def test_several_filters_need_a_choice(tmp_path: Path) -> None:
    says = ["samples_sums", "strict-match, flexible-extract", "--filter"]
    names(says, lambda: list(lm_eval.read([SOLVER], Choice())))
    names(["no filter 'none'"], lambda: list(lm_eval.read([samples_of(SOLVER, "sums")], Choice(filter="none"))))
    assert len(list(lm_eval.read([samples_of(SOLVER, "odd")], Choice(filter="flexible-extract")))) == 2


def lm_sample(path: Path, **fields: Any) -> Path:
    line = {"doc_id": 0, "doc": {"question": "Why?"}, "filter": "none", "metrics": ["acc"], "acc": 1.0} | fields
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({name: value for name, value in line.items() if value is not None}) + "\n", encoding="utf-8"
    )
    return path


def test_the_model_is_that_of_the_results_file_then_of_the_folder_then_given(tmp_path: Path) -> None:
    file = lm_sample(tmp_path / "org__sub__m" / "samples_t_2025-01-01T00-00-00.1.jsonl")
    assert [e.model for e in lm_eval.read([file], Choice())] == ["org/sub/m"]
    other = file.with_name("results_2024-01-01T00-00-00.1.json")
    other.write_text('{"model_name": "of another run"}')
    assert [e.model for e in lm_eval.read([file], Choice())] == ["org/sub/m"]
    file.with_name("results_2025-01-01T00-00-00.1.json").write_text('{"model_name": "org/real"}')
    assert [e.model for e in lm_eval.read([file], Choice())] == ["org/real"]
    assert [e.model for e in lm_eval.read([file], Choice(model="mine"))] == ["mine"]
    lost = lm_sample(tmp_path / "3f2a" / "samples_t_2025-01-01T00-00-00.1.jsonl")
    names([str(lost), "'3f2a'", "--model"], lambda: list(lm_eval.read([lost], Choice())))


@pytest.mark.parametrize(
    ("doc", "prompt"),
    [
        ({"problem": "Solve."}, "Solve."),
        ({"Question": "Which?", "choices": ["x", "y"], "answer": 1}, "Which?\nA. x\nB. y"),
        ({"question": "Which?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}}, "Which?\nA. x\nB. y"),
        ({"passage": "Long ago.", "question": "When?"}, "Long ago.\n\nWhen?"),
        ({"question": "", "input": "not ( True ) is"}, "not ( True ) is"),
        ({"question": "Which?", "choices": [1, 2]}, "Which?"),
    ],
)
def test_the_question_is_found_in_the_document(tmp_path: Path, doc: dict[str, Any], prompt: str) -> None:
    file = lm_sample(tmp_path / "o__m" / "samples_t.jsonl", doc=doc)
    assert [e.prompt for e in lm_eval.read([file], Choice())] == [prompt]


def test_a_field_can_be_named(tmp_path: Path) -> None:
    file = lm_sample(tmp_path / "o__m" / "samples_t.jsonl", doc={"question": "no", "Stem": "yes"})
    assert [e.prompt for e in lm_eval.read([file], Choice(prompt_field="Stem"))] == ["yes"]
    names(["line 1", "'other'", "question, Stem"], lambda: list(lm_eval.read([file], Choice(prompt_field="other"))))


CHAT = '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]'


@pytest.mark.parametrize(
    "arguments", [{"gen_args_0": {"arg_0": CHAT, "arg_1": {}}}, {"gen_args_0": {"arg_0": [CHAT]}}, [[CHAT, {}]]]
)
def test_the_request_is_the_prompt_only_where_it_holds_no_examples(tmp_path: Path, arguments: Any) -> None:
    file = tmp_path / "o__m" / "samples_t_2025-01-01T00-00-00.1.jsonl"
    lm_sample(file, doc={"word": "x"}, arguments=arguments)
    results = file.with_name("results_2025-01-01T00-00-00.1.json")
    names(["line 1", "--prompt-field", "word"], lambda: list(lm_eval.read([file], Choice())))
    results.write_text('{"model_name": "m", "n-shot": {"t": 5}}')
    names(["line 1", "--prompt-field", "word"], lambda: list(lm_eval.read([file], Choice())))
    results.write_text('{"model_name": "m", "n-shot": {"t": 0}}')
    assert [e.prompt for e in lm_eval.read([file], Choice())] == ["Why?"]


def test_a_metric_is_chosen_by_rule_or_by_name(tmp_path: Path) -> None:
    file = lm_sample(tmp_path / "o__m" / "samples_t.jsonl", metrics=["acc_norm", "acc"], acc_norm=0.0)
    assert [e.score for e in lm_eval.read([file], Choice())] == [1.0]
    assert [e.score for e in lm_eval.read([file], Choice(metric="acc_norm"))] == [0.0]
    names(["line 1", "no metric 'f1'", "acc_norm, acc"], lambda: list(lm_eval.read([file], Choice(metric="f1"))))
    lm_sample(file, metrics=["bleu"], bleu=0.3)
    assert [e.score for e in lm_eval.read([file], Choice())] == [0.3]
    lm_sample(file, metrics=["bleu", "chrf"], bleu=0.3, chrf=0.4)
    names(["line 1", "bleu, chrf", "--metric"], lambda: list(lm_eval.read([file], Choice())))
    lm_sample(file, metrics=None)  # harness before 0.4.4 lists none
    assert [e.score for e in lm_eval.read([file], Choice())] == [1.0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"doc": None}, ["line 1", "doc is missing"]),
        ({"doc": "text"}, ["line 1", "doc is str"]),
        ({"metrics": ["f1"], "f1": ["gold", "guess"]}, ["line 1", "score of o/m is ['gold', 'guess']"]),
        ({"metrics": ["word_perplexity"], "word_perplexity": 12.5}, ["line 1", "score of o/m is 12.5"]),
    ],
)
def test_a_bad_line_of_a_log_is_named(tmp_path: Path, fields: dict[str, Any], says: list[str]) -> None:
    file = lm_sample(tmp_path / "o__m" / "samples_t.jsonl", **fields)
    output = refused("lm-eval", file, "--out", tmp_path / "data")
    assert [part for part in [str(file), *says] if part not in output] == [], output
    assert not (tmp_path / "data").exists()


def test_logs_that_are_not_there_are_named(tmp_path: Path) -> None:
    names([str(tmp_path), "no samples_*.jsonl"], lambda: list(lm_eval.read([tmp_path], Choice())))
    empty = tmp_path / "o__m" / "samples_t_2025-01-01T00-00-00.1.jsonl"
    empty.parent.mkdir()
    empty.write_text("\n")
    names([str(empty), "no samples"], lambda: list(lm_eval.read([empty], Choice())))
    empty.with_name("results_2025-01-01T00-00-00.1.json").write_text("{")
    names(["results_2025", "not readable as JSON"], lambda: list(lm_eval.read([empty], Choice())))


# Inspect


@pytest.mark.parametrize("name", ["capitals.json", "capitals.eval"])
def test_inspect_averages_epochs(tmp_path: Path, name: str) -> None:
    done("inspect", SAMPLES / "inspect" / name, "--out", tmp_path / "data")
    assert scores(tmp_path / "data") == {
        ("mockllm/alpha", "What is the capital of France?"): 1.0,
        ("mockllm/alpha", "What is the capital of Peru?"): 0.5,  # the last of a conversation
        ("mockllm/alpha", LONG): 0.5,
    }
    assert {q["benchmark"] for q in rows(tmp_path / "data", "queries")} == {"capitals"}


def test_inspect_with_several_scorers_needs_a_choice(tmp_path: Path) -> None:
    log = SAMPLES / "inspect" / "letters.eval"
    output = refused("inspect", log, "--out", tmp_path / "data")
    assert "scores are choice, length; choose one with --metric" in output
    done("inspect", log, "--metric", "choice", "--out", tmp_path / "data")
    assert scores(tmp_path / "data") == {("mockllm/alpha", FIRST): 1.0, ("mockllm/alpha", LAST): 0.0}
    done("inspect", log, "--metric", "length", "--model", "lab/m", "--out", tmp_path / "data", "--append")
    assert scores(tmp_path / "data")["lab/m", LAST] == 0.25
    names(["no score 'match'", "choice, length"], lambda: list(inspect_log.read([log], "match")))


def inspect_json(path: Path, *samples: dict[str, Any], task: str = "pkg/t") -> Path:
    log = {"version": 2, "status": "success", "eval": {"task": task, "model": "lab/m"}, "samples": list(samples)}
    path.write_text(json.dumps(log), encoding="utf-8")
    return path


def sample(value: Any, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "epoch": 1, "input": "Why?", "scores": {"s": {"value": value}}} | fields


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1),
        ("I", 0),
        ("P", 0.5),
        ("N", 0),
        ("yes", 1),
        ("False", 0),
        ("0.25", 0.25),
        (True, True),
        (0.7, 0.7),
        (1, 1),
    ],
)
def test_inspect_grades_count_as_inspect_counts_them(tmp_path: Path, value: Any, score: float) -> None:
    (found,) = inspect_log.read([inspect_json(tmp_path / "a.json", sample(value))])
    assert found == Evaluation("lab/m", "Why?", score, "t", f"{tmp_path / 'a.json'}: sample 1, epoch 1")


def test_inspect_leaves_out_what_was_not_scored(tmp_path: Path) -> None:
    log = inspect_json(
        tmp_path / "a.json",
        sample("C"),
        sample(float("nan"), id=2),
        sample(None, id=3),
        {"id": 4, "epoch": 1, "input": "Why?", "error": {"message": "timeout"}, "scores": {}},
        {"id": 5, "epoch": 1, "input": "Why?"},
    )
    assert [type(found) for found in inspect_log.read([log])] == [Evaluation, *[Skipped] * 4]
    assert "4 samples without a score left out" in done("inspect", log, "--out", tmp_path / "data").output


def test_inspect_finds_one_value_of_several_and_long_inputs(tmp_path: Path) -> None:
    given = [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "image": "x"}]}]
    log = inspect_json(
        tmp_path / "a.json",
        sample({"right": 1, "kind": 0.5}, input=given),
        sample({"right": 0, "kind": 0.5}, input="attachment://k", attachments={"k": "A long text"}),
    )
    found = [e for e in inspect_log.read([log], "s/right") if isinstance(e, Evaluation)]
    assert [(e.prompt, e.score) for e in found] == [("See", 1), ("A long text", 0)]
    names(["s/right, s/kind"], lambda: list(inspect_log.read([log])))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sample("maybe"), ["sample 1, epoch 1", "score of lab/m is 'maybe'", "C, I, P, N"]),
        (sample(3), ["sample 1, epoch 1", "score of lab/m is 3"]),
        (sample([1, 0]), ["sample 1, epoch 1", "score of lab/m is [1, 0]"]),
        (sample("C", input=""), ["sample 1, epoch 1", "prompt is empty"]),
        (sample("C", input=[{"role": "system", "content": "x"}]), ["sample 1, epoch 1", "no user message"]),
        (sample("C", input="attachment://k"), ["sample 1, epoch 1", "attachment 'k'"]),
        (sample("C", input=7), ["sample 1, epoch 1", "input is int"]),
        ({"id": 1}, ["sample 0", "there is no input"]),
    ],
)
def test_a_bad_sample_is_named(tmp_path: Path, bad: dict[str, Any], says: list[str]) -> None:
    log = inspect_json(tmp_path / "a.json", bad)
    output = refused("inspect", log, "--out", tmp_path / "data")
    assert [part for part in [str(log), *says] if part not in output] == [], output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"{", "not readable as JSON"),
        ("a.json", b"[]", "expected a JSON object"),
        ("a.json", b"\xff\xfe\x00", "not readable as JSON"),
        ("a.json", b'{"eval": {"model": "m"}}', "no eval.task"),
        ("a.json", b'{"eval": {"task": "t", "model": "m"}}', "no samples"),
        (
            "a.json",
            b'{"eval": {"task": "t"}, "samples": [{"input": "x", "scores": {"s": {"value": "C"}}}]}',
            "names no model",
        ),
        ("a.eval", b"", "not a zip archive"),
        ("a.eval", b"{}", "not a zip archive"),
    ],
)
def test_a_file_that_is_no_log_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    names([str(tmp_path / name), says], lambda: list(inspect_log.read([tmp_path / name])))


def test_a_folder_of_logs_is_read_whole(tmp_path: Path) -> None:
    names([str(tmp_path), "no .eval or .json log"], lambda: list(inspect_log.read([tmp_path])))
    (tmp_path / "logs.json").write_text("{}")
    inspect_json(tmp_path / "a.json", sample("C"))
    (tmp_path / "more").mkdir()
    shutil.copy(SAMPLES / "inspect" / "capitals.eval", tmp_path / "more")
    assert len(list(inspect_log.read([tmp_path]))) == 7


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


START = json.dumps({"version": 2, "eval": {"task": "t", "model": "lab/m"}, "plan": {}}).encode()


def test_a_deflated_archive_of_a_run_under_way_is_read(tmp_path: Path) -> None:
    members = {"_journal/start.json": START, "samples/1_epoch_1.json": json.dumps(sample("C")).encode()}
    members["_journal/summaries/1.json"] = b"[]"
    (found,) = inspect_log.read([archive(tmp_path / "a.eval", members)])
    assert isinstance(found, Evaluation)
    assert (found.model, found.score, found.benchmark) == ("lab/m", 1.0, "t")


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, ["none of header.json"]),
        ({"header.json": START}, ["no samples"]),
        ({"header.json": b"{"}, ["header.json: not readable as JSON"]),
        ({"header.json": START, "samples/1_epoch_1.json": b"{"}, ["samples/1_epoch_1.json: not readable as JSON"]),
        ({"header.json": START, "samples/1_epoch_1.json": b"{}"}, ["samples/1_epoch_1.json: no sample"]),
    ],
)
def test_an_archive_that_is_no_log_is_named(tmp_path: Path, members: dict[str, bytes], says: list[str]) -> None:
    file = archive(tmp_path / "a.eval", members)
    names([str(file), *says], lambda: list(inspect_log.read([file])))


@pytest.mark.parametrize("name", ["capitals.eval", "letters.eval"])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str) -> None:
    good = (SAMPLES / "inspect" / name).read_bytes()
    at = good.index(b"samples/") + 60
    file = tmp_path / "a.eval"
    file.write_bytes(good[:at] + bytes(200) + good[at + 200 :])
    names(
        [str(file), "member samples/"],
        lambda: list(inspect_log.read([file], "choice" if name == "letters.eval" else None)),
    )
    file.write_bytes(good[: len(good) // 2])
    names([str(file), "not a zip archive"], lambda: list(inspect_log.read([file])))


def zstandard_archive(path: Path, name: str, content: bytes, frames: int) -> Path:
    """One member compressed by Zstandard in several frames, as Inspect writes very large samples."""
    step = -(-len(content) // frames)
    parts = [content[i : i + step] for i in range(0, len(content), step)]
    stored = b"".join(pa.compress(part, "zstd", asbytes=True) for part in parts)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("header.json", START)
        file.writestr(name, stored)
    data = bytearray(buffer.getvalue())
    crc = zlib.crc32(content)
    for signature, method, check, size in ((b"PK\x03\x04", 8, 14, 22), (b"PK\x01\x02", 10, 16, 24)):
        start = data.rindex(signature)
        struct.pack_into("<H", data, start + method, 93)
        struct.pack_into("<I", data, start + check, crc)
        struct.pack_into("<I", data, start + size, len(content))
    path.write_bytes(data)
    return path


def test_a_member_in_several_zstandard_frames_is_read_whole(tmp_path: Path) -> None:
    content = json.dumps(sample("C", input="Why? " * 2000)).encode()
    file = zstandard_archive(tmp_path / "a.eval", "samples/1_epoch_1.json", content, 3)
    (found,) = inspect_log.read([file])
    assert isinstance(found, Evaluation)
    assert found.prompt == "Why? " * 2000
