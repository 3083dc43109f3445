"""LOCUS as published: the predictor against Eq. 4 in numpy, the encoder's invariances, and the anchors."""

import numpy as np
import pytest
import torch

from research.bench.rows.paper_locus import PaperConfig, Published, Sets, anchor_sets
from tests.research.bench.worlds import dataset

CONFIG = PaperConfig(d_query=6, d_model=16, layers=2, latents=4, heads=4, hidden=5)
_ = np.nan


@pytest.fixture
def net() -> Published:
    torch.manual_seed(0)
    net = Published(CONFIG)
    net.eval()
    return net


def evaluations(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, n, 6, generator=generator), torch.randint(0, 2, (1, n), generator=generator).float()


@torch.no_grad()
def test_the_predictor_is_equation_4(net: Published) -> None:
    w = {name: tensor.double().numpy() for name, tensor in net.predictor.state_dict().items()}
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(3, 16)), rng.normal(size=(4, 6))
    found = net.predictor(torch.tensor(z).float()[:, None], torch.tensor(x).float())
    u = x @ w["project.weight"].T
    for i in range(3):
        for j in range(4):
            hidden = w["mlp.0.weight"] @ np.concatenate([z[i], u[j], z[i] * u[j]]) + w["mlp.0.bias"]
            expected = w["mlp.2.weight"][0] @ np.maximum(hidden, 0) + w["mlp.2.bias"][0]
            assert float(found[i, j]) == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_neither_order_nor_padding_moves_an_embedding(net: Published) -> None:
    q, y = evaluations(20)
    z = net.encoder(q, y)
    assert z.shape == (1, 16)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net.encoder(q[:, order], y[:, order]), z, atol=1e-5, rtol=0)
    padded = torch.cat([q, torch.ones(1, 9, 6)], dim=1), torch.cat([y, torch.ones(1, 9)], dim=1)
    torch.testing.assert_close(net.encoder(*padded, torch.arange(29)[None] < 20), z, atol=1e-5, rtol=0)
    assert not torch.allclose(net.encoder(q, 1 - y), z, atol=1e-3)


@torch.no_grad()
def test_the_loss_averages_targets_within_a_model_and_then_models(net: Published) -> None:
    data = dataset(["a"] * 4, ["train"] * 4, np.array([[1, 0, 1, _], [0, _, _, _]], np.float32))
    q = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    sets = Sets.of(data, q, [np.array([0, 1, 2]), np.array([0])], np.array([0, 1]))
    assert sets.mask.tolist() == [[True, True, True], [True, False, False]]
    both = float(net.loss(sets, sets))
    alone = [Sets.of(data, q, [row], np.array([m])) for m, row in enumerate((np.array([0, 1, 2]), np.array([0])))]
    assert both == pytest.approx(np.mean([float(net.loss(one, one)) for one in alone]), abs=1e-5)
    p = torch.sigmoid(net.predictor(net.encoder(alone[0].q, alone[0].y), alone[0].q))[0].numpy()
    expected = -np.mean([np.log(p[0]), np.log(1 - p[1]), np.log(p[2])])
    assert float(net.loss(alone[0], alone[0])) == pytest.approx(expected, abs=1e-5)


def test_models_that_answered_the_same_queries_share_their_anchors() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random((3, 60)).astype(np.float32)
    scores[2, ::2] = _
    data = dataset(["a"] * 60, ["train"] * 50 + ["val"] * 10, scores)
    first, second, third = anchor_sets(data, np.arange(3), anchors=20, seed=0)
    assert first.tolist() == second.tolist()
    assert len(first) == len(third) == len(set(third.tolist())) == 20
    assert all(i % 2 == 1 and i < 50 for i in third)
    assert set(first.tolist()) & set(range(1, 50, 2)) <= set(third.tolist())
    assert len(anchor_sets(data, np.array([2]), anchors=40, seed=0)[0]) == 25
