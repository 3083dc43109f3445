"""Exports a sentence-transformers model to ONNX: `python -m router.encode.onnx_export NAME`. Loads torch.

The whole model is exported, with its pooling. The export is kept only if it encodes like the original.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from router.encode.encoder import MAX_TOKENS
from router.encode.onnx import ABOUT_FILE, MODEL_FILE, TOKENIZER_FILE, OnnxEncoder, export_folder
from router.encode.sentence_transformer import SentenceTransformerEncoder
from router.errors import ArtifactError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

COSINE_TOLERANCE = 1e-5  # largest difference from 1 of the cosine between the export's encoding and torch's
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SAMPLES = [
    "",
    "x",
    "  What is\n2 + 2? ",
    "Übung: 以下是关于数学的题目。 Ωμέγα 🚀",
    "def f(x): return x + 1 " * 400,
    "Word, " * 90,
]


def export(name: str) -> None:
    """Exports a model into the cache.

    Args:
        name: a name or path that sentence-transformers knows.

    Raises:
        ArtifactError: it cannot be loaded, its tokenizer is not of the tokenizers library, or the export encodes differently.
    """
    original = SentenceTransformerEncoder(name, name)
    tokenizer = _tokenizer(original)
    folder = export_folder(name)
    if folder is None:
        raise ArtifactError(f"encoder {name}: its files cannot be found")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
        work = Path(temporary) / "encoder"
        work.mkdir()
        inputs = [key for key in INPUTS if key in original.model.tokenizer.model_input_names]
        _write_model(original, tokenizer, inputs, work / MODEL_FILE)
        tokenizer.save(str(work / TOKENIZER_FILE))
        about = {"hash": original.hash, "dim": original.dim, "model": name}
        (work / ABOUT_FILE).write_text(json.dumps(about), encoding="utf-8")
        _check_same_encodings(OnnxEncoder(work, name), original)
        try:
            work.rename(folder)
        except OSError:
            if not (folder / ABOUT_FILE).is_file():  # otherwise another process has exported it meanwhile
                raise


def _tokenizer(original: SentenceTransformerEncoder) -> "Tokenizer":
    """The model's tokenizer, with its truncation and padding."""
    from tokenizers import Tokenizer

    given = original.model.tokenizer
    fast = getattr(given, "backend_tokenizer", None)
    if fast is None:
        raise ArtifactError(f"encoder {original.spec}: its tokenizer is not of the tokenizers library")
    tokenizer = Tokenizer.from_str(fast.to_str())
    tokenizer.enable_truncation(min(original.model.max_seq_length or MAX_TOKENS, MAX_TOKENS))
    tokenizer.enable_padding(
        direction=given.padding_side,
        pad_id=given.pad_token_id,
        pad_type_id=given.pad_token_type_id,
        pad_token=given.pad_token,
    )
    return tokenizer


def _write_model(
    original: SentenceTransformerEncoder, tokenizer: "Tokenizer", inputs: Sequence[str], path: Path
) -> None:
    """Writes the model as ONNX: int64 inputs (rows, length), output `encodings` (rows, dim), float32; both sizes are free."""
    import torch

    model = original.model.eval()

    class SentenceEmbedding(torch.nn.Module):
        def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
            encodings: torch.Tensor = model(dict(zip(inputs, arrays, strict=True)))["sentence_embedding"]
            return encodings

    tokens = tokenizer.encode_batch(["What is the capital of France?", "a short one"])
    examples = {
        "input_ids": torch.tensor([encoding.ids for encoding in tokens]),
        "attention_mask": torch.tensor([encoding.attention_mask for encoding in tokens]),
        "token_type_ids": torch.tensor([encoding.type_ids for encoding in tokens]),
    }
    rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
    with torch.no_grad():
        torch.onnx.export(
            SentenceEmbedding(),
            tuple(examples[key] for key in inputs),
            path,
            input_names=list(inputs),
            output_names=["encodings"],
            dynamic_shapes=(tuple({0: rows, 1: length} for _ in inputs),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _check_same_encodings(exported: OnnxEncoder, original: SentenceTransformerEncoder) -> None:
    cosines = (exported.encode(SAMPLES) * original.encode(SAMPLES)).sum(axis=1)
    if not cosines.min() > 1 - COSINE_TOLERANCE:
        raise ArtifactError(f"encoder {original.spec}: encodes differently when exported (cosine {cosines.min():.6f})")


if __name__ == "__main__":
    try:
        export(sys.argv[1])
    except Exception as exc:  # the exporter raises exceptions of any class; the parent process shows the last line
        sys.exit(f"{type(exc).__name__}: {' '.join(str(exc).split())[:500]}")
