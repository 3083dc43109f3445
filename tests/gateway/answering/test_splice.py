import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answering.splice import Diverged, Splice, anchor

TEXT = "The quick brown fox jumps over the lazy dog. It was not the first time, and it will not be the last."
CUTS = st.integers(1, len(TEXT) - 1)


def words(text: str) -> list[str]:
    """As a model streams them: each with the space before it."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def joined(pieces: list[str], way: str, *answer: str) -> str:
    """The client's text after it has been continued."""
    splice = Splice(pieces, way)  # type: ignore[arg-type]
    return "".join([*pieces, *(splice.feed(part) for part in answer), splice.close()])


def in_parts(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@given(CUTS, st.integers(1, 40), st.sampled_from(["prefill", "fresh", "continue"]))
def test_an_answer_from_the_start_gives_what_is_missing(cut: int, size: int, way: str) -> None:
    assert joined([TEXT[:cut]], way, *in_parts(TEXT, size)) == TEXT


@given(CUTS, st.integers(1, 40))
def test_an_answer_that_goes_on_exactly_is_taken_as_it_is(cut: int, size: int) -> None:
    assert joined([TEXT[:cut]], "prefill", *in_parts(TEXT[cut:], size)) == TEXT


@given(CUTS, st.integers(1, 40))
def test_white_space_at_the_end_may_be_repeated(cut: int, size: int) -> None:
    assert joined([TEXT[:cut]], "prefill", *in_parts(TEXT[len(TEXT[:cut].rstrip()) :], size)) == TEXT
    lines = TEXT.replace(". ", ".\n\n    ")
    sent = lines[:cut]
    assert joined([sent], "prefill", *in_parts(lines[len(sent.rstrip()) :], size)) == lines
    # White space that a model goes on with exactly may look like white space that it repeats: the words are safe.
    assert joined([sent], "prefill", *in_parts(lines[len(sent) :], size)).split() == lines.split()


@given(st.integers(1, len(TEXT.split()) - 1), st.integers(1, 6), st.integers(1, 40))
def test_words_that_a_model_repeats_before_it_goes_on_are_left_out(cut: int, again: int, size: int) -> None:
    pieces = words(TEXT)
    answer = "".join(pieces[max(0, cut - again) :]).lstrip()
    assert joined(pieces[:cut], "continue", *in_parts(answer, size)) == TEXT


@given(st.integers(1, len(TEXT.split()) - 1), st.integers(1, 40))
def test_a_model_that_goes_on_with_the_next_word_gets_a_space_before_it(cut: int, size: int) -> None:
    pieces = words(TEXT)
    assert joined(pieces[:cut], "continue", *in_parts("".join(pieces[cut:]).lstrip(), size)) == TEXT


@pytest.mark.parametrize(
    ("pieces", "answer", "rest"),
    [
        (["the quick", " brown ", "fox"], "brown fox jumps", " jumps"),
        (["the quick bro"], "quick brown fox jumps", "wn fox jumps"),
        (["the quick bro"], "brown fox jumps", "wn fox jumps"),
        (["the qui", "ck bro", "wn f"], "ox jumps over", "ox jumps over"),  # pieces of so many characters
        (["w1 ", "w2 ", "w3 "], "w4 w5", "w4 w5"),
        (["w1 ", "w2 ", "w3 "], " w4 w5", "w4 w5"),
        (["w1 ", "w2 ", "w3 "], "w3 w4", "w4"),
        (["w1", " w2", " w3"], "w4 w5", " w4 w5"),
        (["That is all."], "Or is it?", " Or is it?"),
        (["the quick brown fox"], "Sure: the quick brown fox jumps", " jumps"),
        (["so\n\n"], "\n\nthen", "\n\nthen"),
        (["def f():\n   "], "def f(): if a", "if a"),
        (["def f():\n  "], "def f():\n    if a", "  if a"),
    ],
)
def test_a_model_that_was_asked_to_go_on(pieces: list[str], answer: str, rest: str) -> None:
    assert joined(pieces, "continue", answer) == "".join(pieces) + rest


@pytest.mark.parametrize(
    "text", ["0 0 0 0 0 0\n0 0 0 0 0 0\n1 1 1 1 1 1\n", "it goes ha ha ha ha ha ha ha ha ha, and on"]
)
def test_words_that_a_text_repeats_are_meant(text: str) -> None:
    pieces = words(text)
    for cut in range(2, len(pieces)):
        if not "".join(pieces[cut:]).startswith(text[:24]):
            assert joined(pieces[:cut], "prefill", *pieces[cut:]) == text
        sent = "".join(pieces[:cut])
        assert joined(pieces[:cut], "continue", anchor(sent) + text[len(sent.rstrip()) :]) == text


@pytest.mark.parametrize("way", ["fresh", "prefill", "continue"])
def test_an_answer_that_begins_the_same_and_then_differs_cannot_follow(way: str) -> None:
    with pytest.raises(Diverged):
        joined([TEXT[:60]], way, TEXT[:30], "something else entirely")


def test_a_fresh_answer_must_reach_the_end_of_what_was_sent() -> None:
    for answer in ("", "The", "Nothing like it", TEXT[:40]):
        with pytest.raises(Diverged):
            joined([TEXT[:60]], "fresh", answer)


def test_nothing_was_sent_yet() -> None:
    assert joined([" "], "fresh", "Hello") == " Hello"


def test_an_answer_that_only_ends_adds_nothing() -> None:
    assert joined([TEXT], "prefill") == TEXT
    assert joined([TEXT], "continue") == TEXT
    assert joined([TEXT], "fresh", TEXT) == TEXT


def test_the_anchor_is_the_last_words_as_they_stand() -> None:
    assert anchor("a b  c\nd e f \n") == "b  c\nd e f"
    assert anchor("word") == "word"
    assert anchor("") == ""


def test_a_long_text_that_is_repeated_in_small_pieces_takes_linear_time() -> None:
    pieces = ["word "] * 200_000
    splice = Splice(pieces, "fresh")
    assert "".join(map(splice.feed, pieces)) == ""
    assert splice.feed("and more") == "and more"
