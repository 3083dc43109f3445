"""Words of other languages as sums of English tokens, so that the English vectors of a static encoder serve prompts in any of them.

The file `foreign.safetensors` beside the encoder's weights lists words and parts of words of other languages. Each stands for up to
four tokens of the English vocabulary with a share each, as a dictionary would translate it: "Hauptstadt" is mostly "capital" and
"city". `research/translate_words.py` makes the file. A text in English alone is tokenised as if the file did not exist.
"""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import MAX_TOKENS
from router.encode.scripts import SPACED, UNSPACED
from router.errors import ArtifactError

FILE = "foreign.safetensors"
START, INSIDE, SIGN = 1, 2, 4  # kinds: begins a word; continues one; is a sign that a text is not English
COMPOUND = 5  # letters: a word this long may also continue another ("Fahrrad" + "reifen")
SHARE_UNIT = 1 / 64  # of the stored shares
LONGEST = 16  # letters of a piece
LONGEST_WORD = 100  # letters; a longer one is no word, as for the English tokenizer
MAX_VOTES = 1 << 15  # words whose language is remembered
VOTING_CHARS = 1_000  # the language is decided by them
_OTHER_SCRIPT = re.compile(f"[{UNSPACED}]+|[{SPACED}]+")
_FIRST_UNSPACED = re.compile(f"[{UNSPACED}]")
_LATIN_WORD = re.compile(r"[a-z\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff]{2,}")
_MARKS = re.compile(r"[\u0640\u064b-\u065f\u0670]")  # Arabic vowel signs and lengthening, left out of most texts

Tokens = tuple[list[int], list[float]]  # ids of English tokens, and the share of each


class ForeignWords:
    """The words of other languages.

    Args:
        folder: of the encoder; holds `foreign.safetensors` with `words` (bytes: UTF-8, one a line), `kinds` (F,), uint8,
            `tokens` (F, k), uint16, and `shares` (F, k), uint8, in units of 1/64.
        vocabulary: number of English tokens.
        tokenise: gives the ids of English text.
        is_english: tells whether the English vocabulary has a word.

    Raises:
        ArtifactError: it is no such file.
    """

    def __init__(
        self, folder: Path, vocabulary: int, tokenise: Callable[[str], list[int]], is_english: Callable[[str], bool]
    ) -> None:
        from safetensors.numpy import load_file

        path = folder / FILE
        try:
            arrays = load_file(path)
            words = arrays["words"].tobytes().decode("utf-8").split("\n")
            kinds, tokens, shares = arrays["kinds"], arrays["tokens"], arrays["shares"]
        except Exception as exc:  # the library raises exceptions of any class
            raise ArtifactError(f"{path}: not a list of words of other languages: {exc}") from exc
        if not (len(words) == len(kinds) == len(tokens) == len(shares) and tokens.shape == shares.shape):
            raise ArtifactError(f"{path}: words, kinds, tokens and shares are not of one length")
        if tokens.dtype != np.uint16 or tokens.max(initial=0) >= vocabulary or not all(words):
            raise ArtifactError(f"{path}: a word is empty, or a token is not one of the {vocabulary} of the encoder")
        self._row = {word: row for row, word in enumerate(words)}
        self._kinds = kinds.tobytes()
        self._tokens: NDArray[np.uint16] = tokens
        self._shares: NDArray[np.uint8] = shares
        self._tokenise = tokenise
        self._is_english = is_english
        self._votes: dict[str, int] = {}  # the latest words, since to look a word up in all of them takes longer
        self._longest: dict[str, int] = {}  # first letter -> letters of the longest piece
        for word in words:
            if len(word) > self._longest.get(word[0], 0):
                self._longest[word[0]] = min(len(word), LONGEST)

    def read(self, text: str) -> Tokens | None:
        """The tokens that stand for a text, or None if it is an English one, which has its own tokens.

        At most 512 English tokens and words of other languages are read.
        """
        latin = self._is_other_latin(text)
        if not latin and (text.isascii() or not _OTHER_SCRIPT.search(text)):
            return None
        text = _MARKS.sub("", unicodedata.normalize("NFKC", text).lower())
        ids: list[int] = []
        rows: list[int] = []
        end = 0
        for match in _OTHER_SCRIPT.finditer(text):
            self._read_rest(text[end : match.start()], latin, ids, rows)
            rows += self._pieces(match[0])
            end = match.end()
            if len(ids) + len(rows) >= MAX_TOKENS:
                break
        else:
            self._read_rest(text[end:], latin, ids, rows)
        del ids[MAX_TOKENS:], rows[MAX_TOKENS - min(len(ids), MAX_TOKENS) :]
        shares = self._shares[rows]
        used = shares > 0
        return (
            ids + self._tokens[rows][used].tolist(),
            [1.0] * len(ids) + (shares[used] * np.float32(SHARE_UNIT)).tolist(),
        )

    def _is_other_latin(self, text: str) -> bool:
        """Return True if more words in Latin letters are signs of another language than are English."""
        votes = self._votes
        if len(votes) > MAX_VOTES:
            votes.clear()
        balance = 0
        for word in set(_LATIN_WORD.findall(text[:VOTING_CHARS].lower())):
            vote = votes.get(word)
            if vote is None:
                vote = self._vote(word)
                if len(word) <= LONGEST_WORD:
                    votes[word] = vote
            balance += vote
        return balance > 0

    def _vote(self, word: str) -> int:
        """1 for a sign of another language, -1 for an English word, else 0."""
        row = self._row.get(word)
        if row is not None and self._kinds[row] & START:
            return int(self._kinds[row] & SIGN > 0)
        return -1 if self._is_english(word) else int(not word.isascii())

    def _read_rest(self, text: str, latin: bool, ids: list[int], rows: list[int]) -> None:
        """Adds the tokens of text without letters of other scripts: `ids` of English ones, `rows` of words of other languages."""
        end = 0
        for match in _LATIN_WORD.finditer(text) if latin else ():
            found = self._pieces(match[0])
            if found:
                rows += found
                between = text[end : match.start()]
                if not between.isspace():
                    ids += self._tokenise(between)
                end = match.end()
        ids += self._tokenise(text[end:])

    def _pieces(self, word: str) -> list[int]:
        """Rows of the pieces of a word, the longest first; of a Latin word that English has and the list has not, none.

        Text of scripts without spaces is one word here.
        """
        row = self._row.get(word)
        if row is not None and self._kinds[row] & START:
            return [row]
        if word.isascii() and self._is_english(word):
            return []
        unspaced = _FIRST_UNSPACED.match(word) is not None
        if not unspaced and len(word) > LONGEST_WORD:
            return []
        rows: list[int] = []
        at = 0
        while at < len(word) and len(rows) < MAX_TOKENS:
            wanted = START | INSIDE if unspaced else INSIDE if at else START
            for end in range(min(len(word), at + self._longest.get(word[at], 0)), at, -1):
                row = self._row.get(word[at:end])
                if row is not None and (self._kinds[row] & wanted or end - at >= COMPOUND):
                    rows.append(row)
                    at = end
                    break
            else:
                at += 1
        return rows
