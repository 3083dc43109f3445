"""A checkpoint names its encoder: whose files may run code is loaded only where the user trusts it."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from router.encode.load import PRETRAINED
from router.errors import ArtifactError
from router.model.checkpoint import CARD, WEIGHTS, load_checkpoint
from router.model.serving import Router
from router.model.space import ModelSpace


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in (WEIGHTS, CARD, "space.safetensors"):
        shutil.copy(PRETRAINED / name, folder)
    return folder


def name_encoder(checkpoint: Path, spec: str) -> None:
    card = json.loads((checkpoint / CARD).read_text(encoding="utf-8"))
    card["encoder"]["spec"] = spec
    (checkpoint / CARD).write_text(json.dumps(card), encoding="utf-8")


@pytest.mark.parametrize("spec", ["static", "encoder", "./encoder"])
def test_the_shipped_encoder_and_a_static_one_inside_are_loaded(checkpoint: Path, spec: str) -> None:
    shutil.copytree(PRETRAINED / "encoder", checkpoint / "encoder")
    name_encoder(checkpoint, spec)
    assert load_checkpoint(checkpoint).encoder().text_dim == 256


@pytest.mark.parametrize(
    "spec",
    ["", "a\nb", "--help", "some-org/some-model", "../elsewhere", "/etc", str(PRETRAINED / "encoder"), "odd", "link"],
)
def test_any_other_encoder_wants_trust(checkpoint: Path, spec: str) -> None:
    shutil.copytree(PRETRAINED / "encoder", checkpoint.parent / "elsewhere")
    shutil.copytree(PRETRAINED / "encoder", checkpoint / "odd")
    (checkpoint / "odd" / "modules.json").write_text("[]", encoding="utf-8")  # modules are imported
    (checkpoint / "link").symlink_to(checkpoint.parent / "elsewhere")
    name_encoder(checkpoint, spec)
    with pytest.raises(ArtifactError, match=r"whose files may run code\. If you trust .* --trust") as caught:
        load_checkpoint(checkpoint).encoder()
    assert str(caught.value).isprintable()
    with pytest.raises(ArtifactError, match="trust_checkpoint: true"):
        Router.load(checkpoint, [checkpoint / "space.safetensors"])


def test_a_trusted_encoder_may_be_anywhere(checkpoint: Path) -> None:
    shutil.copytree(PRETRAINED / "encoder", checkpoint.parent / "elsewhere")
    name_encoder(checkpoint, str(checkpoint.parent / "elsewhere"))
    space = checkpoint / "space.safetensors"
    assert Router.load(checkpoint, [space], trust=True).encoder.text_dim == 256
    arguments = ["plot", "space", "--checkpoint", str(checkpoint), "--out", str(checkpoint / "map.html")]
    assert "--trust" in CliRunner().invoke(main, arguments).output
    assert CliRunner().invoke(main, [*arguments, "--trust"]).exit_code == 0


@pytest.mark.parametrize("file", [CARD, WEIGHTS])
def test_a_file_that_is_none_is_not_waited_for(checkpoint: Path, file: str) -> None:
    (checkpoint / file).unlink()
    (checkpoint / file).symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match="a device, a pipe or a socket"):
        load_checkpoint(checkpoint)
    with pytest.raises(ArtifactError, match="a device, a pipe or a socket"):
        ModelSpace.load(Path("/dev/zero"))


def test_a_card_that_is_nested_too_deeply(checkpoint: Path) -> None:
    (checkpoint / CARD).write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ArtifactError, match="unreadable"):
        load_checkpoint(checkpoint)
