"""Training and the commands, end to end on a small world in which routing is worth something."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from router.data.dataset import load_dataset
from router.encode.load import load_encoder
from router.errors import ArtifactError, DataError
from router.model.space import ModelSpace
from router.train.feature_map import STATE
from router.train.train import train

SKILLS = {"lab/adder": (0.95, 0.15), "lab/traveller": (0.15, 0.95), "lab/weak": (0.3, 0.3), "lab/newcomer": (0.9, 0.2)}


def write_world(folder: Path, seed: int = 0) -> Path:
    """Two benchmarks, sums and places; each model is good at one of them or at none; `newcomer` is held out."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    queries, scores = [], []
    for i in range(500):
        place = i % 2
        prompt = (
            f"In which country lies the city of {rng.choice(['Paris', 'Rome', 'Cairo', 'Lima', 'Oslo'])}, map sheet {i}?"
            if place
            else f"Compute the sum {rng.integers(10, 99)} plus {rng.integers(10, 99)} minus {rng.integers(10, 99)}."
        )
        split = "train" if i < 300 else "val" if i < 380 else "test"
        queries.append({"query_id": 1000 + i, "benchmark": ["sums", "places"][place], "prompt": prompt, "split": split})
        for model, skill in SKILLS.items():
            scores.append({"model": model, "query_id": 1000 + i, "score": float(rng.random() < skill[place])})
    models = [{"model": m, "onboarding": m == "lab/newcomer"} for m in SKILLS]
    pq.write_table(pa.Table.from_pylist(queries), folder / "queries.parquet")
    pq.write_table(pa.Table.from_pylist(models), folder / "models.parquet")
    pq.write_table(pa.Table.from_pylist(scores), folder / "evaluations.parquet")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checkpoint")
    run("train", world, "--out", out, "--seed", "3")
    return out


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def weights(trained: Any) -> dict[str, Any]:
    result: dict[str, Any] = trained.locus.weights()
    return result


def test_same_seed_same_weights_and_a_resumed_run_too(world: Path, tmp_path: Path) -> None:
    data = load_dataset(world)
    q = load_encoder().encode(data.prompts)
    whole = weights(train(data, q, 256, 0, tmp_path / "a"))

    class Stopped(Exception):
        pass

    def stop(step: int, note: str) -> None:
        if note == "features":
            raise Stopped

    with pytest.raises(Stopped):
        train(data, q, 256, 0, tmp_path / "b", stop)
    trained_again: list[str] = []
    resumed = weights(train(data, q, 256, 0, tmp_path / "b", lambda _, note: trained_again.append(note)))
    assert not any("loss" in note for note in trained_again)
    other = weights(train(data, q, 256, 1, tmp_path / "c"))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert any(not np.array_equal(whole[name], other[name]) for name in whole)


def test_the_state_of_another_run_is_refused(world: Path, tmp_path: Path) -> None:
    data = load_dataset(world)
    q = load_encoder().encode(data.prompts)
    train(data, q, 256, 0, tmp_path)
    with pytest.raises(ArtifactError, match=STATE):
        train(data, q, 256, 7, tmp_path)


def test_test_queries_and_held_out_models_are_never_read(world: Path, tmp_path: Path) -> None:
    data = load_dataset(world)
    q = load_encoder().encode(data.prompts)
    poisoned = data.scores.copy()
    poisoned[data.onboarding] = 1 - poisoned[data.onboarding]
    poisoned[:, data.splits == "test"] = 1 - poisoned[:, data.splits == "test"]
    a = train(data, q, 256, 0, tmp_path / "a")
    b = train(replace(data, scores=poisoned), q, 256, 0, tmp_path / "b")
    assert all(np.array_equal(weights(a)[name], weights(b)[name]) for name in weights(a))


def test_too_little_data_is_an_error(world: Path, tmp_path: Path) -> None:
    data = load_dataset(world)
    few = replace(data, scores=np.where(np.arange(500) < 10, data.scores, np.nan).astype(np.float32))
    with pytest.raises(DataError, match="32 evaluations"):
        train(few, load_encoder().encode(data.prompts), 256, 0, tmp_path)


def test_what_is_trained_predicts_and_routes(world: Path, checkpoint: Path) -> None:
    rows = {
        row["name"]: row for row in json.loads(run("evaluate", world, "--checkpoint", checkpoint, "--json"))["rows"]
    }
    assert set(rows) == {"sums", "places", "macro average"}
    macro = rows["macro average"]
    assert macro["routing"]["LOCUS"] > 0.85  # best single reaches 0.97, a random choice 0.45
    assert macro["prediction"]["LOCUS"] > 0.7  # answering by the overall mean of each model gives 0.59
    assert "LOCUS" in run("evaluate", world, "--checkpoint", checkpoint)


def test_new_models_join_the_shipped_space_without_training(world: Path, tmp_path: Path) -> None:
    space, out = tmp_path / "space.safetensors", tmp_path / "p.parquet"
    run("embed", world, "--out", space)
    loaded = ModelSpace.load(space)
    assert set(loaded.models) == set(SKILLS)
    assert set(loaded.evaluations) == {300}
    assert loaded.neighbors("lab/newcomer")[0].model == "lab/adder"
    run("predict", world, "--space", space, "--out", out)
    table = pq.read_table(out)
    assert table.column_names == ["query_id", "model", "p", "standard_error"]
    data = load_dataset(world)
    assert table.num_rows == len(data.where("test")) * len(SKILLS)
    rows = table.to_pylist()
    assert {row["query_id"] for row in rows} == set(data.query_ids[data.where("test")].tolist())
    assert all(0 <= row["p"] <= 1 for row in rows)
    assert all(0 < row["standard_error"] < 0.5 for row in rows)
    benchmark = dict(zip(data.query_ids.tolist(), data.benchmarks.tolist(), strict=True))
    best = {}  # of the models, the one with the highest p for each query
    for row in rows:
        if row["p"] > best.get(row["query_id"], {"p": -1.0})["p"]:
            best[row["query_id"]] = row
    good = {"sums": ("lab/adder", "lab/newcomer"), "places": ("lab/traveller",)}
    right = [row["model"] in good[benchmark[query]] for query, row in best.items()]
    assert np.mean(right) > 0.95


def test_embedding_is_repeatable_bit_for_bit(world: Path, checkpoint: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("embed", world, "--checkpoint", checkpoint, "--out", tmp_path / name, "--per-model", 50, "--seed", seed)
    assert set(ModelSpace.load(tmp_path / "a").evaluations) == {50}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_neighbors_are_shown(checkpoint: Path) -> None:
    output = run("neighbors", "lab/adder", "--space", checkpoint / "space.safetensors", "-k", 2)
    assert "lab/newcomer" in output
    assert "Error: the model space has no 'lab/addr'; close to it: lab/adder" in run(
        "neighbors", "lab/addr", "--space", checkpoint / "space.safetensors", code=1
    )


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["train", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["embed", "WORLD", "--checkpoint", "nowhere", "--out", "x"], "card.json: no such file"),
        (["train", "WORLD", "--out", "x", "--exclude-benchmark", "sumz"], "no benchmark sumz"),
        (["predict", "WORLD", "--space", "CHECKPOINT/space.safetensors", "--out", "x"], "made by checkpoint"),
    ],
)
def test_commands_fail_with_one_clear_line(
    world: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(*(a.replace("WORLD", str(world)).replace("CHECKPOINT", str(checkpoint)) for a in command), code=1)
    assert says in output
    assert "Traceback" not in output


def test_the_card_says_where_it_comes_from(checkpoint: Path, world: Path) -> None:
    card = json.loads((checkpoint / "card.json").read_text())
    assert card["encoder"]["spec"] == "static"
    assert card["data"]["hash"] == load_dataset(world).hash
    assert card["data"]["models_held_out"] == ["lab/newcomer"]
    assert card["training"]["seed"] == 3
    assert set(card["metrics"]["val_routing_accuracy"]) == {"sums", "places"}


def test_commands_take_several_folders(world: Path, tmp_path: Path) -> None:
    """The world in two folders, a benchmark each, gives what the whole world gives."""
    queries, scores = (pq.read_table(world / f"{name}.parquet") for name in ("queries", "evaluations"))
    folders = []
    for benchmark in ("sums", "places"):
        part = queries.filter(pc.equal(queries["benchmark"], benchmark))
        folders.append(tmp_path / benchmark)
        folders[-1].mkdir()
        pq.write_table(part, folders[-1] / "queries.parquet")
        pq.write_table(
            scores.filter(pc.is_in(scores["query_id"], part["query_id"])), folders[-1] / "evaluations.parquet"
        )
        shutil.copy(world / "models.parquet", folders[-1])
    out = tmp_path / "out"
    run("train", *folders, "--out", out)
    run("evidence", *reversed(folders), "--checkpoint", out)
    run("embed", *folders, "--checkpoint", out, "--out", tmp_path / "space")
    assert ModelSpace.load(tmp_path / "space").evaluations == (300,) * 4
    run("predict", *folders, "--checkpoint", out, "--space", tmp_path / "space", "--out", tmp_path / "p.parquet")
    predicted = pq.read_table(tmp_path / "p.parquet")
    assert len(predicted) == 4 * 120
    assert set(predicted["query_id"].to_pylist()) == set(range(1380, 1500))
    rows = json.loads(run("evaluate", *folders, "--checkpoint", out, "--json"))["rows"]
    assert {row["name"]: row["queries"] for row in rows} == {"sums": 60, "places": 60, "macro average": 120}


def test_the_shipped_artefact_is_whole() -> None:
    from router.model.checkpoint import load_checkpoint
    from router.model.serving import SPACE, Router

    router = Router.load()
    card = load_checkpoint().card
    assert "alpaca_eval" in card["data"]["excluded_benchmarks"]
    assert len(router.space.models) >= 70
    assert sum(f.stat().st_size for f in SPACE.parent.rglob("*") if f.is_file()) < 30e6
    p = router.scorer(router.space.models).p_correct(router.encoder.encode(["What is 2 + 2?"]))
    assert p.shape == (1, len(router.space.models))
    assert ((p > 0) & (p < 1)).all()


def test_evaluate_runs_on_the_public_data(evaluations: Path, tmp_path: Path) -> None:
    """On every second query: all of them take twice as long and show no more."""
    queries = pq.read_table(evaluations / "queries.parquet")
    some = queries.take(list(range(0, queries.num_rows, 2)))
    pq.write_table(some, tmp_path / "queries.parquet")
    scores = pq.read_table(evaluations / "evaluations.parquet")
    pq.write_table(scores.filter(pc.is_in(scores["query_id"], some["query_id"])), tmp_path / "evaluations.parquet")
    shutil.copy(evaluations / "models.parquet", tmp_path)
    rows = {row["name"]: row for row in json.loads(run("evaluate", tmp_path, "--json"))["rows"]}
    macro = rows["macro average"]["routing"]
    assert set(rows) >= {"mmlu_pro", "zeroeval", "routerdc", "routerbench", "llmrouter"}
    assert macro["best single"] < macro["oracle"]
    assert macro["LOCUS"] > macro["best single"]
