"""LiteLLM's lists of fallbacks become `fallbacks` of the models; what is left out is reported."""

from pathlib import Path

import pytest

from tests.gateway.migrate.importing import imported

MODELS = "model_list:\n" + "".join(
    f"  - {{model_name: {name}, litellm_params: {{model: openai/gpt-4o, api_key: x}}}}\n" for name in "abcd"
)
VECTORS = "  - {model_name: v, litellm_params: {model: openai/text-embedding-3-small, api_key: x}}\n"


def lists(folder: Path, settings: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The fallbacks of each model that has some, and the lines of the report that are about fallbacks."""
    portfolio, report = imported(folder, MODELS + VECTORS + settings)
    about = [line.partition(": ")[2] for line in report.splitlines() if "fallbacks" in line]
    return {model.name: model.fallbacks for model in portfolio.models if model.fallbacks}, about


@pytest.mark.parametrize("section", ["litellm_settings", "router_settings"])
def test_a_list_is_carried_over(tmp_path: Path, section: str) -> None:
    assert lists(tmp_path, f"{section}:\n  fallbacks: [{{a: [c, b]}}]\n") == ({"a": ("c", "b")}, [])


@pytest.mark.parametrize(
    "settings",
    [
        "litellm_settings: {default_fallbacks: [d], fallbacks: [{a: [c]}]}\n",
        'router_settings: {fallbacks: [{a: [c]}, {"*": [d]}]}\n',
    ],
)
def test_a_default_list_is_for_all_models_without_their_own(tmp_path: Path, settings: str) -> None:
    assert lists(tmp_path, settings) == ({"a": ("c",), "b": ("d",), "c": ("d",)}, [])


def test_the_fallbacks_of_a_fallback_are_asked_after_it(tmp_path: Path) -> None:
    found, _ = lists(tmp_path, "litellm_settings: {fallbacks: [{a: [b, d]}, {b: [c, a]}, {c: [b]}]}\n")
    assert found == {"a": ("b", "c", "d"), "b": ("c", "a", "d"), "c": ("b", "a", "d")}


def test_an_alias_has_the_fallbacks_of_its_model(tmp_path: Path) -> None:
    settings = "router_settings:\n  model_group_alias: {best: a, small: b}\n  fallbacks: [{a: [small]}, {b: [best]}]\n"
    found, _ = lists(tmp_path, settings)
    assert found["a"] == found["best"][:1] + tuple(name for name in found["a"][1:]) == ("small", "best")
    assert (found["best"], found["small"]) == (("small",), ("best",))


def test_models_for_long_prompts_are_the_last_of_a_list_and_else_not_needed(tmp_path: Path) -> None:
    settings = "router_settings:\n  fallbacks: [{a: [b]}]\n  context_window_fallbacks: [{a: [b, d]}, {c: [d]}]\n"
    found, report = lists(tmp_path, settings)
    assert found == {"a": ("b", "d")}
    assert [line.partition(": ")[2] for line in report] == [
        "a: its last fallbacks, after any failure",
        "c: no list: after an error for its length a prompt goes on to models with a larger window",
    ]


def test_what_cannot_stand_in_is_reported(tmp_path: Path) -> None:
    settings = """\
litellm_settings:
  fallbacks: [{a: [a, nothing, v, {model: b}, d]}, {a: [c]}, {unknown: [a]}]
  content_policy_fallbacks: [{a: [b]}]
router_settings:
  fallbacks: []
"""
    found, report = lists(tmp_path, settings)
    assert found == {"a": ("d",)}
    assert sorted(line.partition(": ")[2] for line in report) == [
        "a: no equivalent: a refusal is passed on",
        "an entry is no chat model that was imported, so it does not stand in for a",
        "another list for a counts",
        "no list of models",
        "nothing is no chat model that was imported, so it does not stand in for a",
        "unknown is no chat model that was imported",
        "v is no chat model that was imported, so it does not stand in for a",
    ]


def test_lists_in_which_each_model_names_all_others_are_read_at_once(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(40)]
    models = "".join(
        f"  - {{model_name: {name}, litellm_params: {{model: openai/gpt-4o, api_key: x}}}}\n" for name in names
    )
    chains = {name: [other for other in names if other != name] for name in names}
    settings = "".join(f"    - {name}: [{', '.join(chain)}]\n" for name, chain in chains.items())
    portfolio, _ = imported(tmp_path, f"model_list:\n{models}litellm_settings:\n  fallbacks:\n{settings}")
    assert {model.name: list(model.fallbacks) for model in portfolio.models} == chains
