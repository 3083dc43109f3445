"""Sentence-transformers models on ONNX Runtime: about as fast as torch, without torch in the process.

A model is exported once, by a subprocess (`router.encode.onnx_export`), into the user's cache folder. If its files change, it is
exported again.

Why not the ONNX backend of sentence-transformers: importing sentence-transformers loads torch, which would then be in the serving
process; the backend exports the transformer only, and pools in torch; and it needs optimum-onnx, whose newest release (0.1.0)
requires transformers below 4.58, while sentence-transformers 6 runs here with transformers 5: its import fails.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import MAX_CHARS, normalise
from router.errors import ArtifactError
from router.extras import require

log = logging.getLogger("locus.encoder")

FORMAT = "1"
PACKAGES = ("onnxruntime", "onnx", "onnxscript")
EXPORT_TIMEOUT_S = 900  # with the download of the model
BATCH_TEXTS = 16
BATCH_CHARS = 1_000  # with the padding; on a CPU, batches speed up short texts and slow down long ones
MODEL_FILE, TOKENIZER_FILE, ABOUT_FILE = "model.onnx", "tokenizer.json", "encoder.json"


class OnnxEncoder:
    """An exported model; see `TextEncoder`.

    Args:
        folder: of `find_export`.
    """

    quick = False

    def __init__(self, folder: Path, spec: str) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # official builds send telemetry otherwise
        import onnxruntime
        from tokenizers import Tokenizer

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // 2) if sys.platform == "linux" else 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leaves the other cores to other work
        try:
            about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
            self.hash, self.dim = str(about["hash"]), int(about["dim"])
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # both libraries raise exceptions of any class
            raise ArtifactError(f"{folder}: not an exported encoder, remove it: {exc}") from exc
        self._inputs = [node.name for node in self._session.get_inputs()]
        self.spec = spec

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        cut = [text[:MAX_CHARS] for text in texts]
        out = np.empty((len(cut), self.dim), np.float32)
        for rows in _batches([len(text) for text in cut]):
            tokens = self._tokenizer.encode_batch([cut[i] for i in rows])
            arrays = {
                "input_ids": [encoding.ids for encoding in tokens],
                "attention_mask": [encoding.attention_mask for encoding in tokens],
                "token_type_ids": [encoding.type_ids for encoding in tokens],
            }
            (out[rows],) = self._session.run(None, {name: np.array(arrays[name], np.int64) for name in self._inputs})
        return normalise(out)


def load_onnx(name: str, spec: str) -> OnnxEncoder:
    """Loads a sentence-transformers model for ONNX Runtime. The first time it exports the model, which takes seconds.

    Args:
        name: a name or path that sentence-transformers knows.

    Raises:
        ArtifactError: it cannot be exported or read; the message says why.
        MissingPackage: a package that it needs is not installed.
    """
    require(*PACKAGES, extra="onnx")
    require("sentence-transformers", extra="train")  # for the export, and for the versions in the folder's name
    folder = find_export(name)
    if folder is None:
        log.info("encoder %s: exporting it, once, to %s", spec, cache_folder())
        command = [sys.executable, "-W", "ignore", "-m", "router.encode.onnx_export", name]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=EXPORT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise ArtifactError(f"its export took more than {EXPORT_TIMEOUT_S} s") from exc
        if done.returncode:
            raise ArtifactError(f"its export failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        folder = find_export(name)
    if folder is None:
        raise ArtifactError("its files cannot be found, so it is unknown whether an export is up to date")
    return OnnxEncoder(folder, spec)


def cache_folder() -> Path:
    """The folder that holds all exports."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "locus-gateway" / "onnx"


def find_export(name: str) -> Path | None:
    """The folder with the export of a model, or None if its files were not exported in their present state."""
    folder = export_folder(name)
    return folder if folder is not None and (folder / ABOUT_FILE).is_file() else None


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Batches of indices of texts, the longest texts first."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) == BATCH_TEXTS or lengths[batch[0]] * (len(batch) + 1) > BATCH_CHARS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def export_folder(name: str) -> Path | None:
    """The folder for the present state of a model's files, or None if they are not on this machine."""
    files = _model_folder(name)
    if files is None:
        return None
    digest = hashlib.sha256(FORMAT.encode())
    for package in (
        "sentence-transformers",
        "transformers",
    ):  # their versions decide the names of the weights, and so the hash
        digest.update(importlib.metadata.version(package).encode())
    for path in sorted(path for path in files.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(files)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return cache_folder() / digest.hexdigest()[:32]


def _model_folder(name: str) -> Path | None:
    """The folder that sentence-transformers loads for a name or path."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache

    for repository in (name, f"sentence-transformers/{name}"):
        for file in ("modules.json", "config.json"):
            try:
                found = try_to_load_from_cache(repository, file, os.environ.get("SENTENCE_TRANSFORMERS_HOME"))
            except ValueError:  # not a valid name of a repository
                continue
            if isinstance(found, str):
                return Path(found).parent
    return None
