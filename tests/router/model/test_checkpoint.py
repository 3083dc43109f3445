import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router.encode.load import load_encoder
from router.errors import ArtifactError
from router.model.checkpoint import CARD, FORMAT, WEIGHTS, load_checkpoint, save_checkpoint

ABOUT: dict[str, Any] = {"config": {"text_dim": 3}, "encoder": {"spec": "static", "hash": load_encoder().hash}}


def make(folder: Path, value: float = 1.0, **about: Any) -> Path:
    save_checkpoint(folder, {"w": np.full((2, 2), value, np.float32)}, ABOUT | about)
    return folder


def test_a_checkpoint_is_read_back(tmp_path: Path) -> None:
    loaded = load_checkpoint(make(tmp_path))
    assert loaded.id == loaded.card["checkpoint"]
    np.testing.assert_array_equal(loaded.weights["w"], np.ones((2, 2)))
    assert loaded.encoder().text_dim == 256


def test_the_same_weights_have_the_same_id(tmp_path: Path) -> None:
    assert load_checkpoint(make(tmp_path / "a")).id == load_checkpoint(make(tmp_path / "b")).id
    assert load_checkpoint(make(tmp_path / "a")).id != load_checkpoint(make(tmp_path / "c", 2.0)).id


def test_weights_and_card_of_two_checkpoints_do_not_mix(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", 2.0)
    shutil.copy(tmp_path / "a" / WEIGHTS, tmp_path / "b" / WEIGHTS)
    with pytest.raises(ArtifactError, match=r"b/locus\.safetensors: its hash is .* describes"):
        load_checkpoint(tmp_path / "b")


def test_an_encoder_that_changed_is_refused(tmp_path: Path) -> None:
    loaded = load_checkpoint(make(tmp_path, encoder={"spec": "static", "hash": "0" * 64}))
    with pytest.raises(ArtifactError, match="trained on encoder static with hash 000000000000"):
        loaded.encoder()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        (CARD, None, "card.json: no such file"),
        (CARD, b"{", "card.json: unreadable"),
        (CARD, b"[]", "not a checkpoint card"),
        (CARD, b"{}", "not a checkpoint card"),
        (
            CARD,
            json.dumps({"format": 99, "checkpoint": "x", **ABOUT}).encode(),
            f"format 99, this version reads {FORMAT}",
        ),
        (WEIGHTS, None, "locus.safetensors: unreadable"),
        (WEIGHTS, b"\x00\x01garbage", "locus.safetensors: unreadable"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, file: str, content: bytes | None, says: str) -> None:
    make(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        load_checkpoint(tmp_path)
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)
