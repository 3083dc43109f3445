"""Sentence-transformers models on torch."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import MAX_CHARS, MAX_TOKENS, normalise
from router.errors import ArtifactError
from router.extras import require


class SentenceTransformerEncoder:
    """Any sentence-transformers model, by name or path."""

    quick = False

    def __init__(self, name_or_path: str, spec: str) -> None:
        require("sentence-transformers", extra="train")
        from sentence_transformers import SentenceTransformer

        try:
            self.model = SentenceTransformer(name_or_path, device="cpu")
        except Exception as exc:  # the library passes on any exception of its loaders
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
        # The library sorts texts by length. A few texts are requests: padding would cost them more than a batch saves.
        size = 64 if len(cut) > 64 else 4
        encodings = self.model.encode(cut, batch_size=size, convert_to_numpy=True, show_progress_bar=len(cut) > 1000)
        return normalise(np.asarray(encodings, np.float32))
