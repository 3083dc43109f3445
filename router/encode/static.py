"""The static text encoder: one vector per token. It needs numpy and a tokenizer only, no torch."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.encode import foreign
from router.encode.encoder import MAX_CHARS, MAX_TOKENS, normalise
from router.encode.foreign import ForeignWords
from router.encode.token_cache import TokenCache
from router.errors import ArtifactError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PIECE_CHARS = 512  # tokenised at once: 512 tokens of prose are about 2,200 characters, fewer than MAX_CHARS


class StaticEncoder:
    """The mean of one vector per token (model2vec). The same weights load as a sentence-transformers StaticEmbedding.

    A text without any known token gets the first unit vector. If the folder holds `foreign.safetensors`, words of other languages
    are read as English tokens with shares, and the weights of their vectors are these.

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
            self._weights: NDArray[np.floating] = weights if weights.dtype == np.float16 else weights.astype(np.float32)
            self._tokenizer = Tokenizer.from_file(str(vocabulary_file))
        except Exception as exc:  # the tokenizer library raises bare Exception
            raise ArtifactError(f"{folder}: not a static encoder: {exc}") from exc
        self._cache: TokenCache | None = None
        with suppress(ValueError):
            self._cache = TokenCache(self._tokenizer)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._piece_chars = PIECE_CHARS if _splits_at_spaces(self._tokenizer) else MAX_CHARS
        self.spec = spec
        files = [weights_file, vocabulary_file]
        self._foreign: ForeignWords | None = None
        if (folder / foreign.FILE).is_file():
            self._foreign = ForeignWords(folder, len(self._weights), self._ids, self._is_word)
            files.append(folder / foreign.FILE)
        self.hash = _files_hash(files)
        self.dim = int(self._weights.shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.empty((len(texts), self.dim), np.float32)
        english: list[int] = []
        for i, text in enumerate(texts):
            cut = text[:MAX_CHARS]
            read = None if self._foreign is None else self._foreign.read(cut)
            if read is not None:
                self._write_sum(read[0], out[i], np.array(read[1], np.float32))
            elif len(texts) == 1:
                self._write_sum(self._ids(cut), out[i])
            else:
                english.append(i)
        for start in range(0, len(english), 1024):
            part = english[start : start + 1024]
            cuts = [texts[i][:MAX_CHARS] for i in part]
            for i, encoding in zip(
                part, self._tokenizer.encode_batch_fast(cuts, add_special_tokens=False), strict=True
            ):
                self._write_sum(encoding.ids, out[i])
        return normalise(out)

    def _ids(self, text: str) -> list[int]:
        """The ids of the first 512 tokens of a text. Tokenises little more than them."""
        if self._cache is not None and (known := self._cache.ids(text, MAX_TOKENS)) is not None:
            return known
        ids: list[int] = []
        while text and len(ids) < MAX_TOKENS:
            end = text.rfind(" ", 1, self._piece_chars) if len(text) > self._piece_chars else -1
            piece = text if end == -1 else text[:end]
            (encoding,) = self._tokenizer.encode_batch_fast([piece], add_special_tokens=False)
            ids += encoding.ids
            text = text[len(piece) :]
        return ids[:MAX_TOKENS]

    def _is_word(self, word: str) -> bool:
        return self._tokenizer.token_to_id(word) is not None

    def _write_sum(self, ids: list[int], out: NDArray[np.float32], shares: NDArray[np.float32] | None = None) -> None:
        rows = self._weights.take(ids, axis=0)
        rows = float16_to_float32(rows) if rows.dtype == np.float16 else rows
        np.add.reduce(rows if shares is None else rows * shares[:, None], axis=0, out=out)


def is_static(folder: Path) -> bool:
    """Return True if a folder holds a static encoder: a tokenizer and vectors, and no file that names code to run."""
    return (folder / "tokenizer.json").is_file() and not any(
        (folder / f).exists() for f in ("config.json", "modules.json")
    )


def _splits_at_spaces(tokenizer: "Tokenizer") -> bool:
    """Return True if a text that is cut before any space has the same tokens as its parts together."""
    from tokenizers import normalizers, pre_tokenizers

    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and not any(" " in t.content or t.lstrip or t.rstrip for t in tokenizer.get_added_tokens_decoder().values())
    )


def float16_to_float32(half: NDArray[np.floating]) -> NDArray[np.float32]:
    """Finite numbers in single precision, four times as fast as `astype`.

    Shifts the bits to their places, then multiplies by 2^112, since the exponents' offsets differ by 127 - 15.
    """
    bits = half.view(np.int16).astype(np.int32)  # copies the sign into the upper bits
    bits <<= 13
    bits &= ~0x70000000  # keeps one copy of it
    numbers = bits.view(np.float32)
    numbers *= np.float32(2.0**112)
    return numbers


def _files_hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:  # in parts, since the memory of a large read stays with the process
            while part := file.read(1 << 16):
                digest.update(part)
    return digest.hexdigest()
