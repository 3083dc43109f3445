"""Pydantic's errors in plain English, and files with correct values in place of wrong ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config.document import Document
from gateway.config.problems import problem, repaired, similar
from gateway.config.schema import PortfolioEntry

MODEL = "models:\n  - name: m\n    deployments: [{model: ollama/m}]\n"


def messages(folder: Path, text: str) -> list[str]:
    path = folder / "p.yaml"
    path.write_text(text)
    document = Document(path)
    with pytest.raises(ValidationError) as caught:
        PortfolioEntry.model_validate(document.value)
    problems = [problem(document, dict(error)) for error in caught.value.errors(include_input=True)]
    return [f"{p.line}: {p.text}" for p in problems]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("    context_window: many\n", "4: models[0].context_window: found 'many'; write a whole number, such as context_window: 128000"),
        ("    context_window: 0\n", "4: models[0].context_window: found 0; write a number of at least 1"),
        ("    capabilities: [fly]\n", "4: models[0].capabilities[0]: found 'fly'; write tools, vision"),
        ("    contxt_window: 1\n", "4: models[0].contxt_window: unknown key; did you mean context_window?"),
        ("    port: 1\n", "4: models[0].port: unknown key; it belongs to `gateway`"),
        ("    price: {input: 1}\n", "4: models[0].price.output: missing; write output: 10"),
        ("    price: {input: .nan, output: 1}\n", "4: models[0].price.input: found nan; write a number that is finite"),
        ("gateway: {port: 70000}\n", "4: gateway.port: found 70000; write a number of at most 65535"),
        ("gateway: {cors_origins: [HTTP://x]}\n", "4: gateway.cors_origins[0]: found 'HTTP://x'; expected `*`, or scheme"),
        ("gateway: {keys: [1]}\n", "4: gateway.keys[0]: found a number that is not shown; write a text"),
        ("policies: {p: {}}\n", "4: policies.p: expected exactly one of cost_weight, max_loss, min_p_correct and quality, found none of them"),
        ("1: x\n", "4: [1]: the key must be a text; write it in quotes"),
    ],
)  # fmt: skip
def test_an_error_names_the_line_the_value_and_an_example(tmp_path: Path, more: str, expected: str) -> None:
    (message,) = messages(tmp_path, MODEL + more)
    assert message.startswith(expected)


def test_the_most_similar_key_is_the_same_word_of_another_program_or_a_near_spelling() -> None:
    assert similar("base_url", ["api_base", "model"]) == "api_base"
    assert similar("modle", ["api_base", "model"]) == "model"
    assert similar("zzz", ["api_base", "model"]) is None


def test_a_wrong_value_is_replaced_or_left_out_so_that_the_rest_can_be_checked() -> None:
    value = {
        "models": [{"name": "m", "deployments": [{"model": 5, "rpm": "x"}], "context_window": 0}],
        "policies": {"p": {"cost_weight": -1}},
        "unknown": 1,
    }
    with pytest.raises(ValidationError) as caught:
        PortfolioEntry.model_validate(value)
    entry = repaired(value, [error["loc"] for error in caught.value.errors()])
    assert entry is not None
    assert (entry.models[0].name, entry.models[0].context_window) == ("m", None)
    assert entry.models[0].deployments[0].model.startswith("anthropic/")
    assert value["unknown"] == 1  # the file's own values stay as they are


def test_a_file_without_models_cannot_be_repaired() -> None:
    assert repaired({"models": 5}, [("models",)]) is None
