"""Sentence-transformers models on ONNX Runtime: about as quick as torch, and torch stays out of the process.

A model is exported once, by a process of its own, into the user's cache folder; where its files change, it is exported anew.
What is exported is the whole model, pooling and all, and it is kept only if it encodes as the original does.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import MAX_CHARS, MAX_TOKENS, SentenceTransformerEncoder, normalise
from router.errors import ArtifactError
from router.extras import require

log = logging.getLogger("locus.encoder")

FORMAT = "1"
NEEDS = ("onnxruntime", "onnx", "onnxscript")
SECONDS = 900  # longest time that an export may take, with the download of the model
SAME = 1e-5  # of the cosine to torch's encoding
BATCH = 16
BATCH_CHARS = 1_000  # padded to the longest; on a CPU, batches help short texts and hold up long ones
MODEL, TOKENIZER, ABOUT = "model.onnx", "tokenizer.json", "encoder.json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SAMPLES = [
    "",
    "x",
    "  What is\n2 + 2? ",
    "Übung: 以下是关于数学的题目。 Ωμέγα 🚀",
    "def f(x): return x + 1 " * 400,
    "Word, " * 90,
]


class OnnxEncoder:
    """An exported model; see `TextEncoder`.

    Args:
        folder: as `exported` gives it.
    """

    quick = False

    def __init__(self, folder: Path, spec: str) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # its official builds would report to their maker
        import onnxruntime
        from tokenizers import Tokenizer

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // 2) if sys.platform == "linux" else 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other cores have work to do
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            self.hash, self.dim = str(about["hash"]), int(about["dim"])
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # both libraries raise whatever they do
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
    """The exported form of a sentence-transformers model; the first time, this takes the seconds of the export.

    Args:
        name: a name or path that sentence-transformers knows.

    Raises:
        ArtifactError: it cannot be exported or read; the message says why.
        MissingPackage: a package that it needs is not installed.
    """
    require(*NEEDS, extra="onnx")
    require("sentence-transformers", extra="train")  # for the export, and for the versions in the folder's name
    folder = exported(name)
    if folder is None:
        log.info("encoder %s: exporting it, once, to %s", spec, cache_folder())
        command = [sys.executable, "-W", "ignore", "-m", "router.encode.onnx", name]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise ArtifactError(f"its export took more than {SECONDS} s") from exc
        if done.returncode:
            raise ArtifactError(f"its export failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        folder = exported(name)
    if folder is None:
        raise ArtifactError("its files cannot be found, so nothing tells whether an export is still the same")
    return OnnxEncoder(folder, spec)


def cache_folder() -> Path:
    """Where exports are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "locus-gateway" / "onnx"


def exported(name: str) -> Path | None:
    """The folder with the export of a model; None where there is none of its present files."""
    folder = folder_of_export(name)
    return folder if folder is not None and (folder / ABOUT).is_file() else None


def export(name: str) -> None:
    """Exports a model into the cache. Loads torch.

    Raises:
        ArtifactError: it cannot be loaded, has no such tokenizer or inputs, or encodes otherwise when exported.
    """
    import torch
    from tokenizers import Tokenizer

    original = SentenceTransformerEncoder(name, name)
    model = original.model.eval()
    fast = getattr(model.tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ArtifactError(f"encoder {name}: its tokenizer is none of the tokenizers library")
    tokenizer = Tokenizer.from_str(fast.to_str())
    tokenizer.enable_truncation(min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS))
    tokenizer.enable_padding(
        direction=model.tokenizer.padding_side,
        pad_id=model.tokenizer.pad_token_id,
        pad_type_id=model.tokenizer.pad_token_type_id,
        pad_token=model.tokenizer.pad_token,
    )
    inputs = [key for key in INPUTS if key in model.tokenizer.model_input_names]
    tokens = tokenizer.encode_batch(["What is the capital of France?", "a short one"])
    columns = {
        "input_ids": torch.tensor([encoding.ids for encoding in tokens]),
        "attention_mask": torch.tensor([encoding.attention_mask for encoding in tokens]),
        "token_type_ids": torch.tensor([encoding.type_ids for encoding in tokens]),
    }

    class Whole(torch.nn.Module):
        def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
            encodings: torch.Tensor = model(dict(zip(inputs, arrays, strict=True)))["sentence_embedding"]
            return encodings

    rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
    folder = folder_of_export(name)
    if folder is None:
        raise ArtifactError(f"encoder {name}: its files cannot be found")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
        work = Path(temporary) / "encoder"
        work.mkdir()
        with torch.no_grad():
            torch.onnx.export(
                Whole(),
                tuple(columns[key] for key in inputs),
                work / MODEL,
                input_names=inputs,
                output_names=["encodings"],
                dynamic_shapes=(tuple({0: rows, 1: length} for _ in inputs),),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        tokenizer.save(str(work / TOKENIZER))
        (work / ABOUT).write_text(json.dumps({"hash": original.hash, "dim": original.dim, "model": name}))
        cosines = (OnnxEncoder(work, name).encode(SAMPLES) * original.encode(SAMPLES)).sum(axis=1)
        if not cosines.min() > 1 - SAME:
            raise ArtifactError(f"encoder {name}: encodes otherwise when exported (cosine {cosines.min():.6f})")
        try:
            work.rename(folder)
        except OSError:
            if not (folder / ABOUT).is_file():  # no other process was quicker
                raise


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts that are encoded together, the longest first."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) == BATCH or lengths[batch[0]] * (len(batch) + 1) > BATCH_CHARS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def folder_of_export(name: str) -> Path | None:
    """One folder for each state of a model's files; None where they are not on this machine."""
    files = _files(name)
    if files is None:
        return None
    digest = hashlib.sha256(FORMAT.encode())
    for package in ("sentence-transformers", "transformers"):  # what names the weights, and so decides their hash
        digest.update(importlib.metadata.version(package).encode())
    for path in sorted(path for path in files.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(files)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return cache_folder() / digest.hexdigest()[:32]


def _files(name: str) -> Path | None:
    """The folder that sentence-transformers loads for a name or path."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache

    for repository in (name, f"sentence-transformers/{name}"):
        for file in ("modules.json", "config.json"):
            try:
                found = try_to_load_from_cache(repository, file, os.environ.get("SENTENCE_TRANSFORMERS_HOME"))
            except ValueError:  # no such name can be
                continue
            if isinstance(found, str):
                return Path(found).parent
    return None


if __name__ == "__main__":
    try:
        export(sys.argv[1])
    except Exception as exc:  # the exporter raises whatever it does; its last line is what the parent shows
        sys.exit(f"{type(exc).__name__}: {' '.join(str(exc).split())[:500]}")
