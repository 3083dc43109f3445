import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from router.errors import ArtifactError
from router.model.space import ModelSpace
from tests.router.embeddings import embeddings


def space(names: str = "a/one b/two c/three d/four", checkpoint: str = "c1", shift: float = 0.0) -> ModelSpace:
    models = names.split()
    z = np.array([[i + shift, 0.0] for i in range(len(models))])
    return ModelSpace(models, embeddings(z, [10 * i for i in range(len(models))]), checkpoint)


def test_distances_and_neighbours() -> None:
    s = space()
    assert s.distance("a/one", "d/four") == 3.0
    assert [(n.model, n.distance) for n in s.neighbors("b/two")] == [("a/one", 1.0), ("c/three", 1.0), ("d/four", 2.0)]
    assert [n.model for n in s.neighbors("d/four", k=1)] == ["c/three"]
    assert [n.model for n in s.neighbors("d/four", among={"a/one", "b/two"})] == ["b/two", "a/one"]


def test_a_saved_space_is_read_back_and_saved_the_same_way_twice(tmp_path: Path) -> None:
    space().save(tmp_path / "x" / "s.safetensors")
    space().save(tmp_path / "again.safetensors")
    loaded = ModelSpace.load(tmp_path / "x" / "s.safetensors")
    assert (loaded.models, loaded.evaluations, loaded.checkpoint) == (space().models, (0, 10, 20, 30), "c1")
    written = space().embeddings.arrays()
    for name, array in loaded.embeddings.arrays().items():
        np.testing.assert_array_equal(array, written[name])
        assert array.dtype == written[name].dtype
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "x" / "s.safetensors").read_bytes()
    assert stat.S_IMODE((tmp_path / "again.safetensors").stat().st_mode) & 0o044  # an image's other user can read it


def test_of_two_spaces_the_later_counts_and_checkpoints_do_not_mix() -> None:
    merged = space().merged(space("d/four e/five", shift=100.0))
    assert merged.models == ("a/one", "b/two", "c/three", "d/four", "e/five")
    assert merged.distance("a/one", "d/four") == 100.0
    with pytest.raises(ArtifactError, match="different checkpoints"):
        space().merged(space(checkpoint="c2"))


def test_names_occur_once_and_are_as_many_as_embeddings() -> None:
    for models in (["a/one", "a/one"], ["a/one"]):
        with pytest.raises(ValueError, match="models must be distinct and as many as embeddings"):
            ModelSpace(models, embeddings(np.eye(2)), "c")


def test_an_unknown_model_comes_with_close_names() -> None:
    with pytest.raises(ArtifactError, match=r"'a/onne'; close to it: a/one.*'zzz'"):
        space().rows(["a/onne", "b/two", "zzz"])


def test_files_that_are_no_space_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="none: no such file"):
        ModelSpace.load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"\x00" * 50)
    with pytest.raises(ArtifactError, match="bad: not a readable model space"):
        ModelSpace.load(tmp_path / "bad")
    save_file({"z": np.zeros((1, 2), np.float32)}, tmp_path / "other")
    with pytest.raises(ArtifactError, match="other: not a model space"):
        ModelSpace.load(tmp_path / "other")
