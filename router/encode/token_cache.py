"""A cache of the token ids of words, so that most words of a text need no call of the tokenizer.

Works for BERT tokenizers only, since they split each word independently of its neighbours.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CAPACITY = 1 << 16  # words; further ones are tokenised each time
_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\t\n\r]")  # characters that the normaliser changes or removes


class TokenCache:
    """Token ids by word.

    Args:
        tokenizer: of the package `tokenizers`.

    Raises:
        ValueError: it does not split each word independently.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        from tokenizers import models, normalizers, pre_tokenizers

        normalizer = tokenizer.normalizer
        if (
            not isinstance(normalizer, normalizers.BertNormalizer)
            or not (normalizer.lowercase and normalizer.clean_text)
            or not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
            or not isinstance(tokenizer.model, models.WordPiece)
        ):
            raise ValueError("not a BERT tokenizer")
        self._tokenizer = tokenizer
        self._special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._ids: dict[str, list[int]] = {}

    def ids(self, text: str, most: int) -> list[int] | None:
        """The first `most` ids of a text, as the tokenizer gives them, or None if the text needs the tokenizer itself.

        `ids("Tom drives 50 miles.", 512)` looks up tom, drives, 50, miles and the full stop.
        """
        if _NOT_PLAIN.search(text) or any(token in text for token in self._special):
            return None
        ids: list[int] = []
        cached = self._ids
        for word in _WORD.findall(text.lower()):
            of_word = cached.get(word)
            ids += self._tokenise(word) if of_word is None else of_word
            if len(ids) >= most:
                break
        return ids[:most]

    def _tokenise(self, word: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        if len(self._ids) < CAPACITY:
            self._ids[word] = ids
        return ids
