"""Evidence: what is kept of evaluations, how near it finds, and what happens where there is none."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gateway.commands.main import main
from gateway.routing.nearby_queries import explain_evidence
from router.data.dataset import Dataset, load_dataset, load_datasets
from router.encode.load import PRETRAINED
from router.errors import ArtifactError
from router.model.evidence import Evidence, evidence_file
from router.model.evidence_file import Evaluations
from router.model.serving import SPACE, Router
from router.model.space import ModelSpace
from router.train.evidence_builder import DIMENSIONS, build_evidence
from tests.router.datasets import tables, with_column, write_dataset

N = np.nan


def dataset(scores: list[list[float]], benchmarks: list[str] | None = None, split: str = "train") -> Dataset:
    """Models a, b, c, … on queries 10, 11, 12, …"""
    number = len(scores[0])
    return Dataset(
        np.arange(10, 10 + number),
        np.array(benchmarks or ["x"] * number),
        np.full(number, ""),
        np.full(number, split),
        tuple(f"question {i}" for i in range(number)),
        tuple("abcdefgh"[: len(scores)]),
        np.zeros(len(scores), np.bool_),
        np.array(scores, np.float32),
        "hash",
    )


def directions(number: int, width: int = 64, seed: int = 0) -> NDArray[np.float32]:
    """Random unit vectors, crowded around one direction as encodings of texts are."""
    x = np.random.default_rng(seed).standard_normal((number, width)).astype(np.float32)
    x[:, 0] += 4
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), np.float32)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_only_queries_that_the_winner_passed_and_the_runner_up_failed_count() -> None:
    #       10   11   12   13   14   15   16
    won = [1.0, 1.0, 0.0, 1.0, 0.7, N, 0.0]
    lost = [0.0, 1.0, 0.0, N, 0.48, 0.0, 1.0]
    text = directions(7)
    kept = build_evidence(dataset([won, lost, [0, 0, 0, 0, 0, 1, 1]]), text, "e")
    assert kept.query_ids.tolist() == [10, 11, 13, 14, 15, 16]  # all models failed 12, so it does not tell them apart
    found = kept.nearest(text[4], "a", "b", 5)
    assert [query.query_id for query in found] == [14, 10]
    assert (found[0].winner_score, found[0].runner_up_score, found[0].benchmark) == (0.7, 0.4, "x")
    assert found[0].similarity == pytest.approx(1, abs=0.02)
    assert found[1].similarity == pytest.approx(float(text[0] @ text[4]), abs=0.05)
    assert [query.query_id for query in kept.nearest(text[4], "b", "a", 5)] == [16]
    assert len(kept.nearest(text[4], "a", "b", 1)) == 1
    assert kept.nearest(text[4], "a", "a/unknown", 5) == []


def test_each_query_has_its_benchmark_and_scores_whatever_their_order() -> None:
    rng = np.random.default_rng(3)
    scores = np.where(rng.random((5, 203)) < 0.3, np.nan, rng.integers(0, 11, (5, 203)) / 10)
    benchmarks = [("one", "two", "three")[i] for i in rng.integers(0, 3, 203)]
    data = dataset(scores.tolist(), benchmarks)
    kept = build_evidence(data, directions(203), "e")
    seen = 0
    for a, winner in enumerate("abcde"):
        for b, runner_up in enumerate("abcde"):
            found = kept.nearest(directions(1)[0], winner, runner_up, 1000)
            assert (
                sorted(query.query_id for query in found)
                == (10 + np.flatnonzero((data.scores[a] >= 0.5) & (data.scores[b] < 0.5))).tolist()
            )
            for query in found:
                i = query.query_id - 10
                assert query.benchmark == benchmarks[i]
                assert (query.winner_score, query.runner_up_score) == pytest.approx((scores[a, i], scores[b, i]))
                seen += 1
    assert seen > 300


def test_a_bounded_number_of_every_benchmark_is_kept() -> None:
    benchmarks = ["large"] * 400 + ["small"] * 40 + ["tiny"] * 4
    data = dataset([[1.0] * 444, [0.0] * 444], benchmarks)
    kept = build_evidence(data, directions(444), "e", number=100)
    assert sum(kept.benchmarks.values()) == len(kept.query_ids) == 100
    assert kept.benchmarks["tiny"] == 4
    assert kept.benchmarks["large"] > kept.benchmarks["small"] >= 16
    ids = kept.query_ids.tolist()
    assert len(set(ids)) == 100
    place = kept.benchmarks["large"]
    assert max(ids[:place]) < 410 <= min(ids[place:])


def test_only_the_split_is_read() -> None:
    data = dataset([[1.0, 1.0], [0.0, 0.0]], split="test")
    assert build_evidence(data, directions(2), "e").models == ()
    assert build_evidence(data, directions(2), "e", split="test").query_ids.tolist() == [10, 11]


def test_a_model_alone_has_no_queries_that_tell_it_from_another(tmp_path: Path) -> None:
    build_evidence(dataset([[1.0, 0.0]]), directions(2), "e").save(tmp_path / "e")
    assert Evaluations.load(tmp_path / "e").models == ("a",)
    why = Evidence([tmp_path / "e"], "e").nearest(directions(2)[0], "a", "b").why_none
    assert why == "no evaluations of b are kept"


@pytest.mark.parametrize("width", [1, 3, 64, DIMENSIONS + 7])
def test_near_stays_near(width: int, tmp_path: Path) -> None:
    text = directions(300, width)
    build_evidence(dataset([[1.0] * 300, [0.0] * 300]), text, "e").save(tmp_path / "e")
    kept = Evaluations.load(tmp_path / "e")
    found = [kept.nearest(text[i], "a", "b", 3) for i in range(50)]
    assert all(-1.001 <= query.similarity <= 1.001 for queries in found for query in queries)
    if width >= 64:
        assert [queries[0].query_id for queries in found] == list(range(10, 60))
        error = [query.similarity - text[i] @ text[query.query_id - 10] for i in range(50) for query in found[i]]
        assert np.abs(error).max() < 0.06


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).random((4, 90)).tolist()
    for name in ("a", "b"):
        build_evidence(dataset(scores), directions(90), "e", number=50).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    Evaluations.load(tmp_path / "a").save(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == (tmp_path / "a").read_bytes()


def test_later_files_count_over_earlier_ones(tmp_path: Path) -> None:
    text = directions(3)
    build_evidence(dataset([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), text, "e").save(tmp_path / "1")
    build_evidence(dataset([[0.8, 1.0], [0.0, 0.0], [0.0, 1.0]], ["x", "y"]), text[:2], "e").save(tmp_path / "2")
    both = Evidence([tmp_path / "1", tmp_path / "missing", tmp_path / "2"], "e")
    found = both.nearest(text[0], "a", "b").queries
    assert {(query.benchmark, query.query_id): query.winner_score for query in found} == {
        ("x", 10): 0.8,
        ("x", 11): 1.0,
        ("y", 11): 1.0,
    }
    assert [query.similarity for query in found] == sorted((query.similarity for query in found), reverse=True)
    assert len(both.nearest(text[0], "a", "b", k=2).queries) == 2


def test_where_there_is_none_the_reason_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = directions(2)
    build_evidence(dataset([[1.0, 1.0], [0.0, 1.0]]), text, "e").save(tmp_path / "1")
    other = dataset([[1.0], [0.0], [0.0]])
    build_evidence(Dataset(**{**vars(other), "models": ("c", "d", "e")}), text[:1], "e").save(tmp_path / "2")

    def why(files: list[str], winner: str, runner_up: str, encoder: str = "e") -> str | None:
        return Evidence([tmp_path / name for name in files], encoder).nearest(text[0], winner, runner_up).why_none

    assert why(["1", "2"], "a", "b") is None
    assert why(["1", "2"], "b", "a") == "no query is kept that b passed and a failed"
    assert why(["1", "2"], "a", "c") == "a and c were evaluated in different data"
    assert why(["1", "2"], "a", "a/unknown") == "no evaluations of a/unknown are kept"
    assert not caplog.records
    assert "`locus evidence`" in (why(["missing"], "a", "b") or "")
    assert not caplog.records
    assert "no evaluations are kept" in (why(["1"], "a", "b", encoder="another") or "")
    assert "made by another encoder" in caplog.text
    (tmp_path / "3").write_bytes(b"nothing")
    assert why(["3"], "a", "b")
    assert f"{tmp_path}/3: not readable evidence" in caplog.text


def test_files_that_are_no_evidence_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "e"
    save_file({"z": np.zeros(2, np.float32)}, file, {"space": "{}"})
    with pytest.raises(ArtifactError, match="not evidence of format 2"):
        Evaluations.load(file)
    kept = build_evidence(dataset([[1.0, 1.0], [0.0, 0.0]]), directions(2), "e")
    about = {"format": 2, "encoder": "e", "models": ["a", "b"], "benchmarks": {"x": 2}}
    arrays = {name: getattr(kept, name) for name in ("query_ids", "basis", "codes", "tenths")}
    for wrong, says in (
        ({"benchmarks": {"x": 3}}, "shapes"),
        ({"models": ["a"]}, "shapes"),
        ({"models": 2}, ""),
        ({"benchmarks": []}, "shapes"),
    ):
        save_file(arrays, file, {"evidence": json.dumps(about | wrong)})
        with pytest.raises(ArtifactError, match=f"not readable evidence: .*{says}"):
            Evaluations.load(file)
    for name, array, says in (
        ("codes", kept.codes.astype(np.uint8), "codes is uint8, expected int8"),
        ("tenths", kept.tenths + np.int8(9), "a score is outside 0 to 10"),
    ):
        save_file(arrays | {name: array}, file, {"evidence": json.dumps(about)})
        with pytest.raises(ArtifactError, match=f"not readable evidence: .*{says}"):
            Evaluations.load(file)
    save_file(arrays, file, {"evidence": json.dumps(about | {"format": 1})})
    with pytest.raises(ArtifactError, match="evidence of format 1, but this version reads format 2; write it again by"):
        Evaluations.load(file)
    save_file(arrays, file, {"evidence": json.dumps(about)})
    assert Evaluations.load(file).models == ("a", "b")
    with pytest.raises(ArtifactError, match="no such file"):
        Evaluations.load(tmp_path / "none")


def test_models_of_own_data_have_evidence_too(tmp_path: Path) -> None:
    data, space = write_dataset(tmp_path / "data"), tmp_path / "mine.safetensors"
    run("embed", data, "--out", space)
    assert evidence_file(space).name == "mine.evidence.safetensors"
    router = Router.load(spaces=[space])
    q = router.encoder.encode(["Compute 21 plus 48."])
    found = explain_evidence(router, q, "lab/adder", "lab/traveller")["queries"]
    assert len(found) == 5
    scores = load_dataset(data)
    for query in found:
        assert query["benchmark"] == "sums"
        (i,) = np.flatnonzero(scores.query_ids == query["query_id"])
        assert scores.splits[i] == "train"
        assert scores.scores[scores.models.index("lab/adder"), i] == query["winner_score"] == 1
        assert scores.scores[scores.models.index("lab/traveller"), i] == query["runner_up_score"] == 0
    assert found[0]["similarity"] > 0.8
    shipped = router.space.models[0]
    assert explain_evidence(router, q, "lab/adder", shipped) == {
        "queries": [],
        "why_none": f"lab/adder and {shipped} were evaluated in different data",
    }
    run("embed", data, "--out", space, "--split", "test")
    found = explain_evidence(Router.load(spaces=[space]), q, "lab/adder", "lab/traveller")["queries"]
    splits = dict(zip(scores.query_ids.tolist(), scores.splits.tolist(), strict=True))
    assert {splits[query["query_id"]] for query in found} == {"test"}


def test_training_writes_it_and_an_older_checkpoint_gets_it_later(tmp_path: Path) -> None:
    data, old = write_dataset(tmp_path / "data"), tmp_path / "old"
    run("train", data, "--out", tmp_path / "new", "--exclude-benchmark", "places")
    file = evidence_file(tmp_path / "new" / "space.safetensors")
    card = json.loads((tmp_path / "new" / "card.json").read_text())
    kept = Evaluations.load(file)
    assert list(kept.benchmarks) == ["sums"]
    assert card["evidence"] == {
        "split": "train",
        "models": len(kept.models),
        "evaluations": kept.evaluation_count,
        "queries": kept.benchmarks,
    }
    assert "lab/newcomer" in kept.models

    shutil.copytree(tmp_path / "new", old)
    evidence_file(old / "space.safetensors").unlink()
    without = {name: value for name, value in card.items() if name != "evidence"}
    (old / "card.json").write_text(json.dumps(without, indent=2) + "\n")
    router = Router.load(old, [old / "space.safetensors"])
    evidence = explain_evidence(router, router.encoder.encode(["What is 2 + 2?"]), "lab/adder", "lab/weak")
    assert evidence["queries"] == []
    assert "no evaluations are kept" in evidence["why_none"]

    assert "queries" in run("evidence", data, "--checkpoint", old)
    for name in ("card.json", "locus.safetensors", "space.safetensors", file.name):
        assert (old / name).read_bytes() == (tmp_path / "new" / name).read_bytes(), name
    other = write_dataset(tmp_path / "other", seed=1)
    assert "not the data that the checkpoint" in run("evidence", other, "--checkpoint", old, code=1)


def test_scores_that_may_not_be_handed_on_are_left_out_unless_the_file_is_private(tmp_path: Path) -> None:
    """`mmlu` has a source that states no licence; `mmlu_pro` has none such."""
    queries = tables()["queries"]
    names = ["mmlu" if name == "sums" else "mmlu_pro" for name in queries["benchmark"].to_pylist()]
    data, out = write_dataset(tmp_path / "data", queries=with_column(queries, "benchmark", names)), tmp_path / "out"
    file = evidence_file(out / "space.safetensors")

    def kept() -> list[str]:
        card = json.loads((out / "card.json").read_text())
        found = list(Evaluations.load(file).benchmarks)
        assert list(card["evidence"]["queries"]) == found
        return found

    run("train", data, "--out", out)
    assert kept() == ["mmlu_pro"]
    run("evidence", data, "--checkpoint", out, "--private")
    assert kept() == ["mmlu", "mmlu_pro"]
    run("evidence", data, "--checkpoint", out)
    assert kept() == ["mmlu_pro"]
    card = json.loads((out / "card.json").read_text())
    assert [source["licence"] for source in card["data"]["sources"]["mmlu"]] == ["none stated", "Apache-2.0"]


def test_models_without_embedding_and_queries_without_encoding_have_none() -> None:
    router = Router.load()
    q = router.encoder.encode(["What is 2 + 2?"])
    one, two = router.space.models[:2]
    for arguments, says in (
        ((q, None, two), "not two models"),
        ((q, one, None), "not two models"),
        ((q, one, one), f"both models are {one}"),
        ((None, one, two), "encoding of the query is not known"),
    ):
        evidence = explain_evidence(router, *arguments)
        assert evidence["queries"] == []
        assert says in evidence["why_none"]


def test_the_shipped_evidence_is_whole() -> None:
    kept = Evaluations.load(evidence_file(SPACE))
    card = json.loads((PRETRAINED / "card.json").read_text())
    assert card["evidence"]["queries"] == kept.benchmarks
    sources = card["data"]["sources"]
    assert kept.benchmarks
    assert not any(source["licence"] == "none stated" for name in kept.benchmarks for source in sources[name])
    assert "alpaca_eval" not in kept.benchmarks
    assert set(kept.models) < set(ModelSpace.load(SPACE).models)
    assert evidence_file(SPACE).stat().st_size < 6e6
    router = Router.load()
    q = router.encoder.encode(["How many positive whole numbers with exactly three proper divisors are less than 50?"])
    found = explain_evidence(router, q, "openai/gpt-4o-mini-2024-07-18", "google/gemma-2-2b-it")["queries"]
    assert [set(query) for query in found] == [
        {"query_id", "benchmark", "similarity", "winner_score", "runner_up_score"}
    ] * 5
    assert found[0]["benchmark"] == "math_l5"
    assert all(query["winner_score"] >= 0.5 > query["runner_up_score"] for query in found)


def test_the_shipped_evidence_is_what_the_public_data_say(evaluations: Path) -> None:
    kept, data = Evaluations.load(evidence_file(SPACE)), load_datasets(sorted(evaluations.parent.glob("llm-evals*")))
    place = {int(query): i for i, query in enumerate(data.query_ids)}
    rows = np.array([place[query] for query in kept.query_ids.tolist()])
    assert set(data.splits[rows].tolist()) == {"train"}
    assert data.benchmarks[rows].tolist() == np.repeat(list(kept.benchmarks), list(kept.benchmarks.values())).tolist()
    text = Router.load().encoder.encode([data.prompts[rows[77]]])[0, :256]
    for winner, runner_up in (("openai/gpt-4o-mini-2024-07-18", "google/gemma-2-2b-it"),):
        a, b = (data.scores[data.models.index(name), rows] for name in (winner, runner_up))
        found = kept.nearest(text, winner, runner_up, len(rows))
        wanted = kept.query_ids[(a >= 0.5) & (b < 0.5)].tolist()
        assert sorted(query.query_id for query in found) == sorted(wanted)
        assert wanted


def test_nothing_is_read_before_the_first_question_and_torch_never() -> None:
    script = """
import sys
import router.model.evidence_file as evaluations
from gateway.routing.nearby_queries import explain_evidence
from router.model.serving import Router
read = []
load = evaluations.Evaluations.load
evaluations.Evaluations.load = lambda path: read.append(path.name) or load(path)
router = Router.load()
q = router.encoder.encode(["What is 2 + 2?"])
assert not read
for _ in range(2):
    explain_evidence(router, q, *router.space.models[:2])
assert read == ["space.evidence.safetensors"], read
assert not {"torch", "pyarrow", "scipy", "sklearn"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
