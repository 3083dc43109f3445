import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from router.encode.encoder import MAX_TOKENS
from router.encode.load import PRETRAINED
from router.encode.token_cache import TokenCache

TOKENIZER = Tokenizer.from_file(str(PRETRAINED / "encoder" / "tokenizer.json"))
WORDS = TokenCache(TOKENIZER)
LIKELY = st.text(st.sampled_from("abcXYZ019 .,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`\t\n\r"), max_size=300)


@given(st.one_of(LIKELY, st.text(max_size=80), st.text(st.characters(codec="ascii"), max_size=80)))
@example("Tom drives 50 miles/hour; isn't that FAST?\r\n\tYes.")
@example("[CLS] a [UNK] b")
@example("x" * 200 + " y")
@example("a\x00b\x7fc\x0bd\x1fe")
@example("")
def test_ids_are_the_tokenizers_own(text: str) -> None:
    own = TOKENIZER.encode(text, add_special_tokens=False).ids
    for _ in range(2):  # asked, and from memory
        ids = WORDS.ids(text, MAX_TOKENS)
        assert ids is None or ids == own[:MAX_TOKENS]


def test_plain_text_needs_no_tokenizer() -> None:
    assert WORDS.ids("What is 7^{23} mod 31?", MAX_TOKENS) is not None
    assert WORDS.ids("¿Qué?", MAX_TOKENS) is None


def test_a_long_text_is_cut() -> None:
    assert WORDS.ids("one two " * 1000, 5) == TOKENIZER.encode("one two one two one", add_special_tokens=False).ids


def test_other_tokenizers_are_refused() -> None:
    with pytest.raises(ValueError, match="BERT"):
        TokenCache(Tokenizer(BPE()))
