import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from router.encode.encoder import MAX_TOKENS, normalise
from router.encode.foreign import FILE, INSIDE, SIGN, START
from router.encode.load import PRETRAINED
from router.encode.static import StaticEncoder
from router.errors import ArtifactError

WORD = START | SIGN
ENTRIES = {  # word of another language: its kind, and the English words that it stands for
    "hauptstadt": (WORD, {"capital": 1.0}),
    "ist": (WORD, {"is": 0.5}),
    "die": (START, {"the": 1.0}),
    "fahrrad": (WORD, {"bicycle": 1.0}),
    "reifen": (WORD, {"tire": 0.5, "tires": 0.5}),
    "frei": (WORD, {"free": 1.0}),
    "heit": (INSIDE, {"state": 0.25}),
    "столица": (WORD, {"capital": 1.0}),
    "首都": (WORD | INSIDE, {"capital": 1.0}),
    "は": (WORD | INSIDE, {}),
    "東京": (WORD | INSIDE, {"tokyo": 1.0}),
    "東": (WORD | INSIDE, {"east": 1.0}),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> StaticEncoder:
    """The shipped vectors with a few words of other languages."""
    folder = english_folder(tmp_path_factory.mktemp("encoder"))
    write_words(folder, ENTRIES)
    return StaticEncoder(folder, str(folder))


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> StaticEncoder:
    """The shipped vectors alone."""
    return StaticEncoder(english_folder(tmp_path_factory.mktemp("english")), "")


def english_folder(folder: Path) -> Path:
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(PRETRAINED / "encoder" / name, folder)
    return folder


def write_words(folder: Path, entries: dict[str, tuple[int, dict[str, float]]]) -> None:
    tokens = np.zeros((len(entries), 2), np.uint16)
    shares = np.zeros((len(entries), 2), np.uint8)
    for row, (_, meaning) in enumerate(entries.values()):
        for k, (word, share) in enumerate(meaning.items()):
            tokens[row, k], shares[row, k] = token(word), round(share * 64)
    words = np.frombuffer("\n".join(entries).encode(), np.uint8)
    kinds = np.array([kind for kind, _ in entries.values()], np.uint8)
    save_file({"words": words, "kinds": kinds, "tokens": tokens, "shares": shares}, folder / FILE)


def token(word: str) -> int:
    from tokenizers import Tokenizer

    number = Tokenizer.from_file(str(PRETRAINED / "encoder" / "tokenizer.json")).token_to_id(word)
    assert number is not None
    return int(number)


def sums_of(encoder: StaticEncoder, *parts: tuple[str, float]) -> np.ndarray:
    """The encoding of English words with shares, from their tokens' vectors."""
    vectors = encoder._weights.astype(np.float32)
    return normalise(np.sum([vectors[token(word)] * share for word, share in parts], axis=0, keepdims=True))[0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hauptstadt", [("capital", 1)]),
        ("Ist die Hauptstadt frei?", [("is", 0.5), ("the", 1), ("capital", 1), ("free", 1), ("?", 1)]),
        ("Ist Fahrradreifen", [("is", 0.5), ("bicycle", 1), ("tire", 0.5), ("tires", 0.5)]),
        ("Ist Freiheit", [("is", 0.5), ("free", 1), ("state", 0.25)]),
        ("СТОЛИЦА", [("capital", 1)]),
        ("首都は東京。", [("capital", 1), ("tokyo", 1), ("。", 1)]),
        ("東京の東", [("tokyo", 1), ("east", 1)]),
        ("Is 首都 free?", [("is", 1), ("capital", 1), ("free", 1), ("?", 1)]),
        ("東 " * 2 + "7", [("east", 2), ("7", 1)]),
    ],
)
def test_words_of_other_languages_stand_for_english_ones(
    encoder: StaticEncoder, text: str, parts: list[tuple[str, float]]
) -> None:
    np.testing.assert_allclose(encoder.encode([text])[0], sums_of(encoder, *parts), atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "The cast of Die Hard is free to die.",  # more English words than words of another language
        "Is ist a word?",
        "naïve café, “quoted”",
        "def f(x): return x + 1  # → α ≤ β",
        "",
    ],
)
def test_english_texts_keep_their_encodings(encoder: StaticEncoder, english: StaticEncoder, text: str) -> None:
    np.testing.assert_array_equal(encoder.encode([text]), english.encode([text]))
    np.testing.assert_array_equal(encoder.encode([text, text]), english.encode([text, text]))


def test_a_text_has_one_encoding_alone_and_among_others(encoder: StaticEncoder) -> None:
    texts = ["Ist die Hauptstadt frei?", "What is free?", "首都は東京。", "x", "東京" * 4_000, "Is 首都 free? " * 500]
    together = encoder.encode(texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(encoder.encode([text])[0], row)


def test_a_long_text_is_cut(encoder: StaticEncoder) -> None:
    assert encoder._foreign is not None
    read = encoder._foreign.read("東" * 4_000)
    assert read is not None
    assert len(read[0]) == len(read[1]) == MAX_TOKENS
    read = encoder._foreign.read("Hauptstadt ist frei " * 200)
    assert read is not None
    assert len(read[0]) <= MAX_TOKENS


def test_what_is_too_long_for_a_word_is_none(encoder: StaticEncoder) -> None:
    assert encoder._foreign is not None
    short, long = (
        encoder._foreign.read("ist столица " + "ш" * 3_000),
        encoder._foreign.read("ist столица " + "reifen" * 600),
    )
    assert short == ([token("is"), token("capital")], [0.5, 1.0])
    assert long == ([token("[UNK]"), token("is"), token("capital")], [1.0, 0.5, 1.0])


def test_the_words_are_part_of_the_hash(encoder: StaticEncoder, english: StaticEncoder) -> None:
    assert encoder.hash != english.hash


@pytest.mark.parametrize("damage", ["torn", "unequal lengths", "unknown token", "empty word"])
def test_a_damaged_list_is_named(tmp_path: Path, damage: str) -> None:
    folder = english_folder(tmp_path)
    write_words(folder, ENTRIES)
    path = folder / FILE
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        count = 2
        arrays = {
            "words": np.frombuffer(b"a\n" if damage == "empty word" else b"ab\ncd", np.uint8),
            "kinds": np.full(3 if damage == "unequal lengths" else count, WORD, np.uint8),
            "tokens": np.full((count, 1), 65_535 if damage == "unknown token" else 7, np.uint16),
            "shares": np.full((count, 1), 64, np.uint8),
        }
        save_file(arrays, path)
    with pytest.raises(ArtifactError, match=str(path)):
        StaticEncoder(folder, str(folder))
