"""Checkpoints on disk: `locus.safetensors` has the weights, `card.json` describes them.

The id of a checkpoint is the SHA-256 of its weights file. The card and every model space repeat it; loading fails if they
differ.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder
from router.encode.load import MINILM, PRETRAINED, STATIC, load_encoder
from router.encode.static import is_static
from router.errors import ArtifactError
from router.regular_file import read_regular

FORMAT = 3
WEIGHTS = "locus.safetensors"
CARD = "card.json"
SPACE_FILE = "space.safetensors"  # the model space of the models that it was trained on
LARGEST_CARD, LARGEST_WEIGHTS = 16 << 20, 1 << 30  # bytes


@dataclass(frozen=True)
class Checkpoint:
    """A trained LOCUS.

    Attributes:
        id: SHA-256 of the weights file.
        card: encoder, data, metrics, versions, licences; see `router.train.model_card`.
        weights: parameter name -> array, float32.
        folder: the folder it was read from.
        trusted: True if the card may name an encoder whose files may run code.
    """

    id: str
    card: Mapping[str, Any]
    weights: Mapping[str, NDArray[np.float32]]
    folder: Path
    trusted: bool = False

    def encoder(self) -> QueryEncoder:
        """Loads the query encoder that the checkpoint was trained on.

        Raises:
            ArtifactError: the encoder cannot be loaded, its weights have changed, or its files may run code and the checkpoint
                is not trusted.
            MissingPackage: the encoder needs a package that is not installed.
        """
        wanted = self.card["encoder"]
        encoder = load_encoder(self._allowed_encoder(wanted["spec"]))
        if encoder.hash != wanted["hash"]:
            raise ArtifactError(
                f"{self.folder}: trained on encoder {wanted['spec']} with hash {wanted['hash'][:12]}, but the one that "
                f"is installed has {encoder.hash[:12]}"
            )
        return encoder

    def _allowed_encoder(self, spec: str) -> str:
        """The argument of `load_encoder` for the encoder that the card names.

        The author of the checkpoint chose that name. The shipped encoders, and a static one inside the folder, consist of tokens
        and numbers. Any other is loaded by sentence-transformers, which imports the modules that the encoder's files name.

        Raises:
            ArtifactError: the files of the encoder may run code, and the checkpoint is not trusted.
        """
        if spec in (STATIC, MINILM):
            return spec
        inside = (self.folder / spec).resolve() if spec.isprintable() and spec else self.folder
        if inside.is_relative_to(self.folder.resolve()) and is_static(inside):
            return str(inside)
        if self.trusted:
            return spec
        shown = spec if spec.isprintable() and len(spec) <= 200 else "of another name"
        raise ArtifactError(
            f"{self.folder}: the card names the encoder {shown!r}, whose files may run code. If you trust where the "
            "checkpoint is from, add --trust, or `trust_checkpoint: true` to the portfolio"
        )


def save_checkpoint(folder: Path, weights: Mapping[str, NDArray[np.float32]], card: Mapping[str, Any]) -> str:
    """Writes weights and card.

    Args:
        folder: is created if it is missing.
        weights: parameter name -> array, float32.
        card: its content without format and checkpoint id.

    Returns:
        The checkpoint id. Equal weights give equal bytes and an equal id.
    """
    from safetensors.numpy import save

    data = save(dict(weights), {"format": str(FORMAT)})
    checkpoint_id = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(data)
    _write_card(folder, {"format": FORMAT, "checkpoint": checkpoint_id, **card})
    return checkpoint_id


def amend_card(checkpoint: Checkpoint, values: Mapping[str, Any]) -> None:
    """Adds or replaces keys in the card of a checkpoint on disk. Weights and id do not change."""
    _write_card(checkpoint.folder, {**checkpoint.card, **values})


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_checkpoint(folder: Path | None = None, *, trust: bool = False) -> Checkpoint:
    """Reads the checkpoint in a folder.

    Args:
        folder: None: the shipped checkpoint.
        trust: allow an encoder whose files may run code.

    Raises:
        ArtifactError: a file is missing, unreadable, of another format, or weights and card do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = PRETRAINED if folder is None else folder
    weights_file, card_file = folder / WEIGHTS, folder / CARD
    try:
        card = json.loads(read_regular(card_file, LARGEST_CARD))
        if not isinstance(card, dict) or not {"format", "checkpoint", "encoder", "config"} <= card.keys():
            raise ArtifactError(f"{card_file}: not a checkpoint card: it lacks format, checkpoint, encoder or config")
    except FileNotFoundError as exc:
        raise ArtifactError(f"{card_file}: no such file; is {folder} a checkpoint made by `locus train`?") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise ArtifactError(f"{card_file}: unreadable: {exc}") from exc
    if card["format"] != FORMAT:
        raise ArtifactError(f"{card_file}: format {card['format']}, this version reads {FORMAT}: train it again")
    encoder = card["encoder"] if isinstance(card["encoder"], dict) else {}
    if not all(isinstance(text, str) for text in (card["checkpoint"], encoder.get("spec"), encoder.get("hash"))):
        raise ArtifactError(f"{card_file}: checkpoint, encoder.spec or encoder.hash is not a string")
    try:
        data = read_regular(weights_file, LARGEST_WEIGHTS)
        weights = load(data)
    except (OSError, SafetensorError) as exc:
        raise ArtifactError(f"{weights_file}: unreadable: {exc}") from exc
    checkpoint_id = hashlib.sha256(data).hexdigest()
    if checkpoint_id != card["checkpoint"]:
        raise ArtifactError(
            f"{weights_file}: its hash is {checkpoint_id[:12]}, but {CARD} beside it describes {card['checkpoint'][:12]}"
        )
    return Checkpoint(checkpoint_id, card, weights, folder, trust)
