"""The commands over a model space, end to end on a small world whose models' strengths are known."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from router.model.space import ModelSpace
from tests.router.worlds import SKILLS, train_world, write_world


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def space(checkpoint: Path) -> Path:
    return checkpoint / "space.safetensors"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def read(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json"))


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def prices(folder: Path, **usd: float) -> Path:
    """All models at 1 USD per million tokens, but for some."""
    table = {model: usd.get(model.rpartition("/")[2], 1.0) for model in SKILLS}
    rows = "".join(f"{model},{price},{price}\n" for model, price in table.items())
    return write(folder, "prices.csv", "model,usd_per_mtok_in,usd_per_mtok_out\n" + rows)


def test_two_specialists_cover_what_they_are_good_at(checkpoint: Path) -> None:
    found = read("portfolio", "suggest", "--checkpoint", checkpoint, "--k", 3)
    assert {row["model"] for row in found["models"][:2]} == {"lab/adder", "lab/traveller"}
    accuracy = [row["accuracy"] for row in found["models"]]
    assert accuracy == sorted(accuracy)
    assert found["candidates"] == 12
    assert accuracy[1] / found["full_pool_accuracy"] == found["models"][1]["of_full_pool"] >= 0.99
    assert found["smallest_k_for_99_percent"] == 2
    text = run("portfolio", "suggest", "--checkpoint", checkpoint, "--k", 2)
    assert "lab/adder" in text
    assert "k = 2 is the smallest that reaches 99%" in text


def test_neighbours_on_one_kind_of_question_are_those_that_are_as_good_at_it(checkpoint: Path) -> None:
    def nearest(*options: str) -> list[str]:
        text = run("neighbors", "lab/adder", "--checkpoint", checkpoint, "-k", 11, *options)
        return sorted((name for name in SKILLS if name in text), key=text.index)

    assert nearest("--on", "sums").index("north/m4") < nearest("--on", "sums").index("lab/traveller")
    assert set(nearest("--on", "places")[:2]) == {"north/m3", "south/m3"}  # they are as bad at places as the adder
    assert set(nearest()) == set(SKILLS) - {"lab/adder"}
    assert "no anchor queries of benchmark gsm8k" in run(
        "neighbors", "lab/adder", "--checkpoint", checkpoint, "--on", "gsm8k", code=1
    )


def test_traffic_decides_who_comes_first(checkpoint: Path, tmp_path: Path) -> None:
    suggest = ("portfolio", "suggest", "--checkpoint", checkpoint, "--k", 1, "--weights")
    places = write(tmp_path, "w.yaml", "places: 1")
    assert read(*suggest, places)["models"][0]["model"] == "lab/traveller"
    sums = write(tmp_path, "t.txt", "Compute 17 plus 56 (3).\nCompute 90 plus 34 (8).\n")
    found = read(*suggest, sums)
    assert found["models"][0]["model"] == "lab/adder"
    assert found["traffic"] == "2 prompts of t.txt"


def test_candidates_are_those_of_a_file(checkpoint: Path, tmp_path: Path) -> None:
    names = write(tmp_path, "names.txt", "north/m0\nlab/adder\n")
    found = read("portfolio", "suggest", "--checkpoint", checkpoint, "--k", 2, "--models", names)
    assert [row["model"] for row in found["models"]] == ["lab/adder", "north/m0"]
    unknown = write(tmp_path, "unknown.txt", "lab/adderr\n")
    message = run("portfolio", "suggest", "--checkpoint", checkpoint, "--k", 1, "--models", unknown, code=1)
    assert "no 'lab/adderr'; close to it: lab/adder" in message


def test_a_budget_is_kept_and_told_with_its_policy(checkpoint: Path, tmp_path: Path) -> None:
    costly = prices(tmp_path, adder=40.0)
    suggest = (
        "portfolio",
        "suggest",
        "--checkpoint",
        checkpoint,
        "--prices",
        costly,
        "--tokens-in",
        600,
        "--tokens-out",
        400,
    )
    ample = read(*suggest, "--budget", 0.05)
    assert ample["cost_weight"] == 0
    assert {row["model"] for row in ample["models"][:2]} == {"lab/adder", "lab/traveller"}
    assert [row["usd_per_query"] for row in ample["models"] if row["model"] == "lab/adder"] == [pytest.approx(0.04)]
    tight = read(*suggest, "--budget", 0.01)
    assert tight["models"][-1]["mean_usd_per_query"] <= 0.01 + 1e-9
    assert tight["cost_weight"] > 0
    assert tight["full_pool_accuracy"] < ample["full_pool_accuracy"]
    text = run(*suggest, "--budget", 0.01, "--k", 2)
    assert "cost_weight: " in text
    assert "600 tokens in and 400 out" in text
    assert "below the cheapest model's 0.001" in run(*suggest, "--budget", 0.0005, code=1)


def test_candidates_without_a_price_are_left_out_and_named(checkpoint: Path, tmp_path: Path) -> None:
    table = write(tmp_path, "p.csv", "model,usd_per_mtok_in,usd_per_mtok_out\nlab/adder,1,1\nnorth/m1,1,1\n")
    result = CliRunner().invoke(
        main,
        ["portfolio", "suggest", "--checkpoint", str(checkpoint), "--prices", str(table), "--budget", "1", "--json"],
    )
    assert json.loads(result.stdout)["candidates"] == 2
    assert "left out, having no price: " in result.stderr
    assert "lab/traveller" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give --k or --budget"),
        (["--budget", "1"], "--budget needs --prices"),
        (["--k", "13"], "--k is 13, but there are 12 candidates"),
    ],
)
def test_suggestions_that_cannot_be_made(checkpoint: Path, options: list[str], message: str) -> None:
    assert message in run("portfolio", "suggest", "--checkpoint", checkpoint, *options, code=2)


def test_every_model_is_in_a_cluster(space: Path, tmp_path: Path) -> None:
    found = read("cluster", "--space", space, "--k", 4)
    assert len(found) == 4
    assert sorted(model for cluster in found for model in cluster["members"]) == sorted(SKILLS)
    assert all(cluster["members"][0] == cluster["medoid"] for cluster in found)
    picture = tmp_path / "tree.png"
    text = run("cluster", "--space", space, "--distance", 0, "--dendrogram", picture)
    assert all(f"{model}  (alone)" in text for model in SKILLS)
    assert picture.read_bytes().startswith(b"\x89PNG")
    sizes = [len(cluster["members"]) for cluster in read("cluster", "--space", space)]
    assert max(sizes) <= 6


def test_clusters_that_make_no_sense(space: Path) -> None:
    assert "not both" in run("cluster", "--space", space, "--k", 2, "--distance", 1, code=2)
    assert "has 12 models: too few to cluster into 13" in run("cluster", "--space", space, "--k", 13, code=1)
    assert "ends in .png" in run("cluster", "--space", space, "--dendrogram", "tree.pdf", code=2)


def test_a_copy_is_listed_as_a_duplicate(checkpoint: Path, space: Path, tmp_path: Path) -> None:
    assert "No duplicates among 12 models" in run("duplicates", "--space", space, "--threshold", 0)
    data, bare, twice = checkpoint.parent / "data", checkpoint.parent / "bare", tmp_path / "twice.safetensors"
    again = renamed(write_world(tmp_path / "again"), "lab/adder", "shop/copy")
    run("embed", again, "--checkpoint", bare, "--out", tmp_path / "again.safetensors")
    run("embed", data, "--checkpoint", bare, "--out", tmp_path / "first.safetensors")
    ModelSpace.load(tmp_path / "first.safetensors").merged(ModelSpace.load(tmp_path / "again.safetensors")).save(twice)
    (pair,) = read("duplicates", "--space", twice)
    assert set(pair["models"]) == {"lab/adder", "shop/copy"}
    assert pair["distance"] == pytest.approx(0, abs=1e-5)
    assert "shop/copy" in run("duplicates", "--space", twice)


def renamed(folder: Path, old: str, new: str) -> Path:
    """The data with one model under another name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("models", "evaluations"):
        table = pq.read_table(folder / f"{name}.parquet")
        names = [new if model == old else model for model in table["model"].to_pylist()]
        column = table.column_names.index("model")
        pq.write_table(table.set_column(column, "model", pa.array(names)), folder / f"{name}.parquet")
    return folder


def test_too_few_models_for_duplicates(space: Path, tmp_path: Path, checkpoint: Path) -> None:
    from tests.router.datasets import write_dataset

    run(
        "embed",
        write_dataset(tmp_path / "few"),
        "--checkpoint",
        checkpoint.parent / "bare",
        "--out",
        tmp_path / "few.safetensors",
    )
    message = run("duplicates", "--space", tmp_path / "few.safetensors", code=1)
    assert "cannot be recognised among 4 models; 8 is the least" in message


def test_a_profile_finds_the_models_that_have_it(checkpoint: Path) -> None:
    for profile, model in (("sums=0.95,places=0.1", "lab/adder"), ("places=0.95,sums=0.1", "lab/traveller")):
        found = read("find", "--checkpoint", checkpoint, "--profile", profile, "-k", 3)
        assert found[0]["model"] == model
        assert len(found) == 3
        gaps = [row["mean_difference"] for row in found]
        assert gaps == sorted(gaps)
    by_distance = read(
        "find", "--checkpoint", checkpoint, "--profile", "sums=0.95,places=0.1", "--by", "distance", "-k", 12
    )
    distances = [row["distance"] for row in by_distance]
    assert distances == sorted(distances)
    assert {row["model"] for row in by_distance} == set(SKILLS)
    text = run("find", "--checkpoint", checkpoint, "--profile", "sums=0.95")
    assert "asked 95%" in text


def test_profiles_that_cannot_be_looked_up(checkpoint: Path) -> None:
    find = ("find", "--checkpoint", checkpoint, "--profile")
    assert "no anchor queries of benchmark gsm8k; there are places, sums" in run(*find, "gsm8k=0.9", code=1)
    assert "sums=2: expected a number from 0 to 1" in run(*find, "sums=2", code=1)


def test_the_map_is_a_picture_or_a_page(checkpoint: Path, tmp_path: Path) -> None:
    run("plot", "space", "--checkpoint", checkpoint, "--out", tmp_path / "deep" / "map.png")
    assert (tmp_path / "deep" / "map.png").read_bytes().startswith(b"\x89PNG")
    run("plot", "space", "--checkpoint", checkpoint, "--out", tmp_path / "page" / "map.html", "--neighbors", 3)
    html = (tmp_path / "page" / "map.html").read_text(encoding="utf-8")
    (text,) = (line for line in html.splitlines() if 'id="data"' in line)
    data = json.loads(text.partition(">")[2].rpartition("</script>")[0])
    assert [model["name"] for model in data["models"]] == list(ModelSpace.load(checkpoint / "space.safetensors").models)
    kinds = {kind["name"]: kind["mean"] for kind in data["details"]["lab/adder"]["kinds"]}
    assert kinds["sums"] > kinds["places"]
    assert all(len(details["neighbors"]) == 3 for details in data["details"].values())
    assert "ends in .png or .html" in run("plot", "space", "--checkpoint", checkpoint, "--out", "map.pdf", code=2)


def test_a_checkpoint_without_anchors_says_so(checkpoint: Path, tmp_path: Path) -> None:
    bare = checkpoint.parent / "bare"
    for command in (
        ["find", "--profile", "sums=1"],
        ["plot", "space", "--out", "m.png"],
        ["portfolio", "suggest", "--k", "1"],
    ):
        assert f"{bare}: this checkpoint has no anchor queries" in run(*command, "--checkpoint", bare, code=1)
    prompts = write(tmp_path, "t.txt", "Compute 1 plus 2.")
    assert "lab/adder" in run("portfolio", "suggest", "--k", 1, "--weights", prompts, "--checkpoint", bare)
