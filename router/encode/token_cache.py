"""Token ids of plain text, word by word from memory: most questions are made of words that others had before.

For BERT's tokenizers alone, which treat each word by itself: what they make of one is asked once.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KNOWN = 1 << 16  # words that are kept; further ones are asked for each time
_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_OTHER = re.compile(r"[^\x20-\x7e\t\n\r]")  # letters that a normaliser changes or leaves out


class Words:
    """Ids by words.

    Args:
        tokenizer: of the package `tokenizers`.

    Raises:
        ValueError: it does not treat each word by itself.
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
            raise ValueError("not a tokenizer of BERT's kind")
        self._tokenizer = tokenizer
        self._special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str, most: int) -> list[int] | None:
        """The first `most` ids of a text, as the tokenizer gives them; None where only it can tell.

        `ids("Tom drives 50 miles.", 512)` looks up tom, drives, 50, miles and the full stop.
        """
        if _OTHER.search(text) or any(token in text for token in self._special):
            return None
        ids: list[int] = []
        known = self._known
        for word in _WORD.findall(text.lower()):
            of_word = known.get(word)
            ids += self._ask(word) if of_word is None else of_word
            if len(ids) >= most:
                break
        return ids[:most]

    def _ask(self, word: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        if len(self._known) < KNOWN:
            self._known[word] = ids
        return ids
