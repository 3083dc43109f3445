"""Characters whose halves come in two chunks."""

from typing import Any

from gateway.api.chat.split_characters import SplitCharacters
from gateway.core.chat_types import ChatChunk

HIGH, LOW = "\ud83d", "\ude00"  # the halves of 😀


def chunk(delta: Any, *, index: int = 0, finish: str | None = None) -> ChatChunk:
    return {"model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def call(arguments: str, index: int = 0) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def delta(joined: ChatChunk) -> Any:
    return joined["choices"][0]["delta"]


def test_a_half_is_held_back_until_the_other_comes() -> None:
    characters = SplitCharacters()
    assert delta(characters.join(chunk({"content": f"so {HIGH}"}))) == {"content": "so "}
    assert characters.held == {(0, "content"): HIGH}
    assert delta(characters.join(chunk({"content": f"{LOW}!"}))) == {"content": "😀!"}
    assert characters.held == {}


def test_the_bytes_of_a_character_are_joined() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    characters = SplitCharacters()
    assert delta(characters.join(chunk({"content": "a" + first.decode("utf-8", "surrogateescape")}))) == {
        "content": "a"
    }
    assert delta(characters.join(chunk({"content": second.decode("utf-8", "surrogateescape")}))) == {"content": "é"}


def test_each_choice_and_field_has_its_own_half() -> None:
    characters = SplitCharacters()
    characters.join(chunk({"content": HIGH, "reasoning": "r"}))
    assert delta(characters.join(chunk({"content": f"{LOW}x"}, index=1))) == {"content": "\ufffdx"}
    assert delta(characters.join(chunk({"reasoning": "more"}))) == {"reasoning": "more"}
    assert delta(characters.join(chunk({"content": LOW}))) == {"content": "😀"}


def test_a_half_at_the_end_of_a_choice_is_replaced() -> None:
    characters = SplitCharacters()
    characters.join(chunk({"content": f"a{HIGH}"}))
    characters.join(chunk({"content": f"b{HIGH}"}, index=1))
    assert delta(characters.join(chunk({}, finish="stop"))) == {"content": "\ufffd"}
    assert characters.held == {(1, "content"): HIGH}


def test_arguments_of_tool_calls_are_joined() -> None:
    characters = SplitCharacters()
    assert delta(characters.join(chunk(call(f'{{"a": "{HIGH}')))) == call('{"a": "')
    assert delta(characters.join(chunk(call(f'{LOW}"}}')))) == call('😀"}')
    characters.join(chunk(call(HIGH, 1)))
    ended = characters.join(chunk({"content": None}, finish="tool_calls"))
    assert delta(ended) == {"content": None} | call("\ufffd", 1)


def test_fields_beside_the_choices_are_cleaned() -> None:
    joined = SplitCharacters().join(chunk({"content": "a"}) | {"system_fingerprint": f"fp{HIGH}"})
    assert joined["system_fingerprint"] == "fp\ufffd"
