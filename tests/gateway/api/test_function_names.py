"""Names of functions that chat APIs accept."""

from gateway.api.function_names import MAX_NAME_CHARS, name_with_hash, short_name, valid_name


def test_a_short_name_stays_and_a_long_one_ends_in_its_hash() -> None:
    fits, long = "n" * MAX_NAME_CHARS, "n" * (MAX_NAME_CHARS + 1)
    assert short_name(fits) == fits
    assert short_name(long) == "n" * 55 + "_1e3fb6d5"  # the same in every process
    assert short_name(long) != short_name(long + "n")


def test_characters_that_chat_apis_do_not_accept() -> None:
    assert valid_name("mcp__git.log/1é-A_") == "mcp__git_log_1_-A_"
    assert len(valid_name("a." * 100)) == MAX_NAME_CHARS


def test_the_hash_is_of_the_second_text() -> None:
    assert name_with_hash("add", "x") == "add_2d711642"
    assert name_with_hash("add", "x") != name_with_hash("add", "y")
    assert name_with_hash("add", "\ud800").startswith("add_")  # half of a character, as JSON may contain
