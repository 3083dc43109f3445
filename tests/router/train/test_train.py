"""Training and the commands, end to end on a small world in which routing is worth something."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from gateway.commands.main import main
from router.data.dataset import Dataset, load_dataset
from router.encode.load import load_encoder
from router.errors import ArtifactError, DataError
from router.model.checkpoint import load_checkpoint
from router.model.space import ModelSpace
from router.train.domains import EPOCHS
from router.train.feature_map import STATE
from router.train.requests import Judged, judged_requests
from router.train.train import STEPS, Progress, Trained, choose_share, train
from router.train.training_set import MIN_EVALUATIONS

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


@dataclass(frozen=True)
class Prepared:
    """What `train` takes: data, encodings and judged requests."""

    data: Dataset
    q: NDArray[np.float32]
    judged: Judged

    def train(self, out: Path, seed: int = 0, progress: Progress = lambda *_: None) -> Trained:
        return train(self.data, self.q, 256, self.judged, seed, out, progress)

    def with_scores(self, scores: NDArray[np.float32]) -> "Prepared":
        return replace(self, data=replace(self.data, scores=scores))


@pytest.fixture(scope="module")
def prepared(world: Path) -> Prepared:
    data, encoder = load_dataset(world), load_encoder()
    return Prepared(data, encoder.encode(data.prompts), Judged.encoded(judged_requests(), encoder))


@pytest.fixture(scope="module")
def whole(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return prepared.train(tmp_path_factory.mktemp("whole"))


def assert_equal(a: Trained, b: Trained) -> None:
    """Equal weights and embeddings, bit for bit."""
    first, second = a.locus.weights(), b.locus.weights()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name, array in a.space.embeddings.arrays().items():
        np.testing.assert_array_equal(array, b.space.embeddings.arrays()[name], err_msg=name)


def test_same_seed_same_weights_and_a_resumed_run_too(prepared: Prepared, whole: Trained, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(step: int, note: str) -> None:
        if note == "names":
            raise Stopped

    with pytest.raises(Stopped):
        prepared.train(tmp_path, progress=stop)
    steps: list[int] = []
    resumed = prepared.train(tmp_path, progress=lambda step, _: steps.append(step))
    assert steps == list(range(EPOCHS + 1, STEPS + 1))  # the classifier was kept
    assert_equal(resumed, whole)


def test_another_seed_gives_other_weights(checkpoint: Path, whole: Trained) -> None:
    other, weights = load_checkpoint(checkpoint).weights, whole.locus.weights()
    differ = {name for name in weights if not np.array_equal(weights[name], other[name])}
    assert {"features.hidden", "network.encoder.seeds", "network.predictor.query.0.weight"} <= differ


def test_the_state_of_another_run_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    def stop(step: int, note: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        prepared.train(tmp_path, progress=lambda step, note: stop(step, note) if note == "names" else None)
    with pytest.raises(ArtifactError, match=STATE):
        prepared.train(tmp_path, seed=7)


def test_test_queries_and_held_out_models_are_never_read(prepared: Prepared, whole: Trained, tmp_path: Path) -> None:
    data = prepared.data
    poisoned = data.scores.copy()
    poisoned[:, data.splits == "test"] = 1 - poisoned[:, data.splits == "test"]
    poisoned[data.onboarding] = 1 - poisoned[data.onboarding]
    other, weights = prepared.with_scores(poisoned).train(tmp_path).locus.weights(), whole.locus.weights()
    for name in weights:
        np.testing.assert_array_equal(weights[name], other[name], err_msg=name)


def test_training_leaves_numpy_as_it_was(whole: Trained) -> None:
    """Training flushes denormal numbers to 0, for speed; nothing after it does."""
    assert np.float32(1e-30) * np.float32(1e-10) > 0


def test_the_space_is_what_the_checkpoint_embeds(prepared: Prepared, whole: Trained) -> None:
    assert whole.space.models == prepared.data.models  # also the one that is held out
    train = prepared.data.where("train")
    for row, name in enumerate(whole.space.models):
        one = whole.locus.embed(prepared.q[train], prepared.data.scores[row, train], name)
        np.testing.assert_array_equal(one.z, whole.space.z[row])
    assert whole.locus.readout_share in whole.shares
    assert whole.shares[whole.locus.readout_share] == max(whole.shares.values())


def test_too_little_data_is_an_error(prepared: Prepared, tmp_path: Path) -> None:
    few = np.where(np.arange(500) < MIN_EVALUATIONS - 1, prepared.data.scores, np.nan).astype(np.float32)
    with pytest.raises(DataError, match=f"{MIN_EVALUATIONS} evaluations"):
        prepared.with_scores(few).train(tmp_path)


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
    printed = run("embed", world, "--out", space).splitlines()
    loaded = ModelSpace.load(space)
    row = next(i for i, line in enumerate(printed) if line.startswith("lab/newcomer"))
    assert printed[row].split()[1:3] == ["300", "lab/adder"]  # its evaluations and the nearest of five models
    assert not any(line.startswith("lab/") for line in printed[row + 1 : row + 5])
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
    output = run("neighbors", "lab/adder", "--checkpoint", checkpoint, "-k", 2)
    assert "lab/newcomer" in output
    assert "Error: the model space has no 'lab/addr'; close to it: lab/adder" in run(
        "neighbors", "lab/addr", "--checkpoint", checkpoint, code=1
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
    from router.model.serving import SPACE, Router

    router = Router.load()
    card = load_checkpoint().card
    assert "alpaca_eval" in card["data"]["excluded_benchmarks"]
    assert len(router.space.models) >= 70
    assert sum(f.stat().st_size for f in SPACE.parent.rglob("*") if f.is_file()) < 40e6
    p = router.scorer(router.space.models).p_correct(router.encoder.encode(["What is 2 + 2?"]))
    assert p.shape == (1, len(router.space.models))
    assert ((p > 0) & (p < 1)).all()


def test_evaluate_runs_on_the_public_data(evaluations: Path, tmp_path: Path) -> None:
    """On every fourth query: all of them take four times as long and show no more."""
    queries = pq.read_table(evaluations / "queries.parquet")
    some = queries.take(list(range(0, queries.num_rows, 4)))
    pq.write_table(some, tmp_path / "queries.parquet")
    scores = pq.read_table(evaluations / "evaluations.parquet")
    pq.write_table(scores.filter(pc.is_in(scores["query_id"], some["query_id"])), tmp_path / "evaluations.parquet")
    shutil.copy(evaluations / "models.parquet", tmp_path)
    rows = {row["name"]: row for row in json.loads(run("evaluate", tmp_path, "--json"))["rows"]}
    macro = rows["macro average"]["routing"]
    assert set(rows) >= {"mmlu_pro", "zeroeval", "routerdc", "routerbench", "llmrouter"}
    assert macro["best single"] < macro["oracle"]
    assert macro["LOCUS"] > macro["best single"]


@pytest.mark.parametrize(
    ("accuracy", "share"),
    [
        ({0.0: 0.730, 0.5: 0.729, 1.0: 0.731}, 0.5),  # a tie
        ({0.0: 0.740, 0.5: 0.729, 1.0: 0.731}, 0.0),
        ({0.0: 0.700, 0.5: 0.720, 1.0: 0.731}, 1.0),
        ({0.0: 0.700, 0.5: 0.732, 1.0: 0.731}, 0.5),
    ],
)
def test_the_share_of_the_plain_readout_is_the_best_on_val_or_the_mean(
    accuracy: dict[float, float], share: float
) -> None:
    assert choose_share(accuracy) == share
