"""Prompts as text: normal form, split key, stated splits, lettered options."""

from router.data.importing.prompt import (
    assign_split,
    normalise_prompt,
    split_key,
    strictest_split,
    with_options,
)


def test_the_normal_form_keeps_case_and_inner_blanks() -> None:
    assert normalise_prompt("  Cafe\u0301  au lait?\r\nYes\rNo \n") == "Caf\u00e9  au lait?\nYes\nNo"


def test_the_split_key_ignores_case_blanks_and_compatible_letters() -> None:
    assert split_key(" \uff37hat  is\n\u00bd\u00df? ") == "what is 1\u20442ss?"


def test_a_split_depends_on_the_key_and_the_seed_only() -> None:
    assert [assign_split("what is 2 + 2?", seed) for seed in range(4)] == [
        *("train", "train", "test", "train"),
    ]
    assert {assign_split("what is 2 + 2?", seed) for seed in range(50)} == {"train", "val", "test"}


def test_the_strictest_split_keeps_test_questions_out_of_training() -> None:
    assert strictest_split(["train", "val", "test"]) == "test"
    assert strictest_split(["train", "val"]) == "val"
    assert strictest_split(["train"]) == "train"


def test_options_are_lettered_and_then_numbered() -> None:
    assert with_options("Which?", ["x", "y"]) == "Which?\nA. x\nB. y"
    assert with_options("Which?", ["o"] * 28).splitlines()[-2:] == ["27. o", "28. o"]
