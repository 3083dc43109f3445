"""The network in torch and in numpy: equal results, no dependence on the order, and what training is meant to reach."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from router.model.network import DISTANCE_SCALE, EMBEDDING_DIM, FEATURES, Network, sigmoid
from router.model.soft_clip import soft_clip
from router.train.network import Kernels, LocusNetwork, bend

WIDTH = 12  # of a query input


@pytest.fixture(scope="module")
def torch_network() -> LocusNetwork:
    """A network with random weights in every layer, those that start at 0 included."""
    torch.manual_seed(3)
    network = LocusNetwork(WIDTH).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network


@pytest.fixture(scope="module")
def network(torch_network: LocusNetwork) -> Network:
    return Network({name: array.numpy() for name, array in torch_network.state_dict().items()})


def evaluations(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Query inputs, scores and the mean model at n queries."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, WIDTH)).astype(np.float32)
    return x, rng.random(n).round().astype(np.float32), rng.uniform(0.1, 0.9, n).astype(np.float32)


@pytest.mark.parametrize("n", [1, 7, 600])
def test_torch_and_numpy_give_the_same_embedding(torch_network: LocusNetwork, network: Network, n: int) -> None:
    x, y, mean = evaluations(n)
    with torch.no_grad():
        z = torch_network.encoder(*(torch.from_numpy(array)[None] for array in (x, y, mean)))[0].numpy()
    found = network.embed(x, y, mean)
    assert found.shape == (EMBEDDING_DIM,)
    np.testing.assert_allclose(found * DISTANCE_SCALE, z, atol=1e-5)


def test_torch_and_numpy_give_the_same_prior_mean_features_and_scales(
    torch_network: LocusNetwork, network: Network
) -> None:
    x, _, mean = evaluations(40, seed=1)
    z = np.random.default_rng(2).normal(size=(5, EMBEDDING_DIM)).astype(np.float32)
    tensor = torch.from_numpy(z)
    with torch.no_grad():
        asked = torch.from_numpy(x).expand(5, -1, -1)
        prior = torch_network.prior(tensor, asked, torch.from_numpy(mean).expand(5, -1)).numpy().T
        g = torch_network.features(torch.from_numpy(x)).numpy()
        scales = torch.exp(torch.tanh(torch_network.scales(tensor)))
        variances = (scales * torch_network.log_variances.exp()[:3]).numpy()
    u, features = network.query_terms(x)
    odds = np.log(mean / (1 - mean))[:, None] + network.log_odds(u, network.model_terms(z / DISTANCE_SCALE))
    np.testing.assert_allclose(sigmoid(odds), prior, atol=1e-5)
    np.testing.assert_allclose(features, g, atol=1e-5)
    for row, expected in zip(z / DISTANCE_SCALE, variances, strict=True):
        np.testing.assert_allclose(network.variances(row)[:3], expected, rtol=1e-5)


def test_the_order_of_the_evaluations_changes_an_embedding_by_rounding_only(network: Network) -> None:
    x, y, mean = evaluations(300)
    order = np.random.default_rng(5).permutation(300)
    np.testing.assert_allclose(network.embed(x[order], y[order], mean[order]), network.embed(x, y, mean), atol=1e-6)


def test_many_models_at_once_and_one_by_one_have_the_same_log_odds(network: Network) -> None:
    u, _ = network.query_terms(evaluations(100)[0])
    z = np.random.default_rng(4).normal(size=(9, EMBEDDING_DIM)).astype(np.float32) / DISTANCE_SCALE
    together = network.log_odds(u, network.model_terms(z))
    for model in range(9):
        alone = network.log_odds(u, network.model_terms(z[model : model + 1]))
        np.testing.assert_allclose(together[:, model : model + 1], alone, atol=1e-5)


def test_a_new_network_predicts_the_mean_model_before_any_evaluation_counts() -> None:
    torch.manual_seed(0)
    network = LocusNetwork(WIDTH).eval()
    x, _, mean = (torch.from_numpy(array)[None] for array in evaluations(6))
    with torch.no_grad():
        prior = network.prior(torch.randn(1, EMBEDDING_DIM), x, mean)
    np.testing.assert_allclose(prior, mean, atol=1e-6)


def test_the_correction_is_the_exact_posterior_mean(torch_network: LocusNetwork) -> None:
    """Against the same posterior in the form of a regression on features, w ~ N(0, diag(v))."""
    n, targets = 30, 8
    x, y, mean = evaluations(n + targets, seed=6)
    psi = np.random.default_rng(7).normal(size=(n + targets, 5)).astype(np.float32) * 0.4
    kinds, local = torch.from_numpy(psi[:, :2]), torch.from_numpy(psi[:, 2:])
    tensors = [torch.from_numpy(array)[None] for array in (x, y, mean)]
    with torch.no_grad():
        out = torch_network(
            *(tensor[:, :n] for tensor in tensors),
            Kernels((kinds[:n] @ kinds[:n].T)[None], (local[:n] @ local[:n].T)[None]),
            tensors[0][:, n:],
            tensors[2][:, n:],
            Kernels((kinds[:n] @ kinds[n:].T)[None], (local[:n] @ local[n:].T)[None]),
        )
    network = Network({name: array.numpy() for name, array in torch_network.state_dict().items()})
    z = network.embed(x[:n], y[:n], mean[:n])
    u, g = network.query_terms(x)
    odds = np.log(mean / (1 - mean)) + network.log_odds(u, network.model_terms(z[None]))[:, 0]
    prior = sigmoid(odds)
    ability, of_kind, of_kernel, learned = network.variances(z)
    variance = np.concatenate([[ability], [of_kind] * 2, [of_kernel] * 3, [learned] * FEATURES])
    design = np.concatenate([np.ones((n + targets, 1)), psi, g], axis=1)
    noise = network.spread(prior[:n])
    precision = design[:n].T @ (design[:n] / noise[:, None]) + np.diag(1 / variance)
    w = np.linalg.solve(precision, design[:n].T @ ((y - prior)[:n] / noise))
    expected = soft_clip((prior[n:] + design[n:] @ w).astype(np.float32))
    np.testing.assert_allclose(out.p[0].numpy(), expected, atol=2e-4)


def test_the_bend_is_the_same_in_torch_and_numpy() -> None:
    value = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    np.testing.assert_allclose(bend(torch.from_numpy(value)).numpy(), soft_clip(value), atol=1e-6)
