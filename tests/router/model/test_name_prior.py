"""The prior by a model's name against the plain formulas of a Gaussian process, and on names that should be related or not."""

import numpy as np
import pytest

from router.model.name_parts import parse_name
from router.model.name_prior import SHARED, NamePrior, kernels

# name -> level; each lab's own way to write names.
LEVELS = {
    "openai/gpt-4": 0.2,
    "openai/gpt-5-2025-08-07": 0.8,
    "openai/gpt-5-2025-08-07:high": 1.0,
    "openai/gpt-5-mini-2025-08-07": 0.5,
    "openai/gpt-5.4-mini-2026-03-17": 0.7,
    "Qwen/Qwen3-0.6B": -2.0,
    "Qwen/Qwen3-8B": -0.4,
    "Qwen/Qwen3-32B": 0.1,
    "meta-llama/Llama-2-7b-hf": -1.9,
    "meta-llama/Llama-3.1-8B-Instruct": -0.9,
    "meta-llama/Llama-3.1-70B-Instruct": 0.0,
    "anthropic/claude-opus-4-5-20251101": 1.1,
}


@pytest.fixture(scope="module")
def prior() -> NamePrior:
    scales = np.array([0.1, 0.1, 0.2, 0.1, 1.5, 0.3, 0.1, 0.05, 0.1, 0.05, 0.02])
    assert len(scales) == len(SHARED) + 1
    errors = np.linspace(0.02, 0.1, len(LEVELS))
    return NamePrior(tuple(LEVELS), np.array(list(LEVELS.values())), errors, scales)


def covariance(prior: NamePrior, a: list[str], b: list[str]) -> np.ndarray:
    shared = kernels([parse_name(name) for name in a], [parse_name(name) for name in b])
    return np.asarray(np.einsum("s,snm->nm", prior.scales[:-1], shared))


def test_a_trained_name_gets_what_the_other_models_say(prior: NamePrior) -> None:
    means, variances = prior.expected(prior.names)
    for i, name in enumerate(prior.names):
        others = [other for other in prior.names if other != name]
        keep = np.array([other != name for other in prior.names])
        noise = np.diag(prior.scales[-1] + prior.errors[keep])
        to_others = covariance(prior, [name], others)
        solved = np.linalg.solve(covariance(prior, others, others) + noise, to_others.T)
        assert means[i] == pytest.approx((solved.T @ prior.levels[keep]).item(), abs=1e-9)
        left = covariance(prior, [name], [name]) + prior.scales[-1] - to_others @ solved
        assert variances[i] == pytest.approx(left.item(), abs=1e-9)


def test_a_new_name_follows_the_formula(prior: NamePrior) -> None:
    name = "openai/gpt-5.4-nano-2026-03-17"
    known = list(prior.names)
    solved = np.linalg.solve(
        covariance(prior, known, known) + np.diag(prior.scales[-1] + prior.errors), covariance(prior, known, [name])
    )
    mean, variance = prior.level(name)
    assert mean == pytest.approx((prior.levels @ solved).item())
    prior_variance = covariance(prior, [name], [name]).item() + prior.scales[-1]
    assert variance == pytest.approx(prior_variance - (covariance(prior, [name], known) @ solved).item())


@pytest.mark.parametrize("name", ["", "acme/assistant", "my-model", "foo/bar-v"])
def test_a_name_that_shares_nothing_has_mean_0_and_the_full_variance(prior: NamePrior, name: str) -> None:
    mean, variance = prior.level(name)
    assert mean == pytest.approx(0, abs=1e-12)
    weight = 1 / (prior.errors + prior.errors.mean())
    assert variance == pytest.approx(np.average(prior.levels**2 - prior.errors, weights=weight))
    assert variance > prior.level("openai/gpt-5.2")[1]


def test_newer_and_larger_models_are_expected_to_be_better(prior: NamePrior) -> None:
    assert prior.level("openai/gpt-5.2")[0] > prior.level("openai/gpt-4.1")[0]
    sizes = [prior.level(f"acme/thing-{size}")[0] for size in ("1b", "8b", "70b")]
    assert sizes == sorted(sizes)
    assert prior.level("Qwen/Qwen3-14B")[1] < prior.level("acme/thing-14b")[1]


@pytest.mark.parametrize(
    "name", ["gpt-5.4-nano", "azure/gpt-5.4-nano", "openrouter/openai/gpt-5.4-nano", "gpt-5.4-nano@2026-03-17"]
)
def test_the_way_to_reach_a_model_changes_nothing(prior: NamePrior, name: str) -> None:
    assert prior.level(name) == pytest.approx(prior.level("openai/gpt-5.4-nano"))


def test_kernels_are_positive_semidefinite_and_symmetric(prior: NamePrior) -> None:
    parts = [parse_name(name) for name in (*prior.names, "", "acme/foo", "acme/foo-7b", "openai/gpt-5")]
    for shared in kernels(parts, parts):
        np.testing.assert_allclose(shared, shared.T)
        assert np.linalg.eigvalsh(shared).min() > -1e-9


def test_levels_do_not_depend_on_the_other_names_that_are_asked(prior: NamePrior) -> None:
    names = ["openai/gpt-6", "Qwen/Qwen3-8B", "acme/assistant"]
    together = np.array(prior.expected(names))
    np.testing.assert_allclose(together.T, [prior.level(name) for name in names], rtol=1e-9, atol=1e-12)


def test_a_checkpoint_gives_the_prior_back(prior: NamePrior) -> None:
    weights = prior.weights()
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    restored = NamePrior.restore(weights)
    assert restored.names == prior.names
    for name in ("openai/gpt-6", "Qwen/Qwen3-8B", "acme/assistant"):
        assert restored.level(name) == pytest.approx(prior.level(name), abs=1e-5)
    assert NamePrior.restore(restored.weights()).level("openai/gpt-6") == restored.level("openai/gpt-6")
    with pytest.raises(KeyError):
        NamePrior.restore({})
