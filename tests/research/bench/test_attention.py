"""The attention blocks against their equations, written out in plain numpy float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from router.train.attention import LatentBottleneck, TBlock

WIDTH, HEADS = 12, 3
Array = NDArray[np.float64]


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """Every parameter random, so that none is at a special value such as 0 or 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape))
    return module.eval()


def items(batch: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, n, WIDTH)).astype(np.float32))


def affine(layer: torch.nn.Module, x: Array) -> Array:
    weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
    out: Array = np.einsum("oi,...i->...o", weight, x) + bias
    return out


def layer_norm(layer: torch.nn.Module, x: Array) -> Array:
    weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
    out: Array = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias
    return out


def gelu(x: Array) -> Array:
    out: Array = x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
    return out


def block(module: TBlock, queries: Array, keys: Array) -> Array:
    """(a, d), (b, d) -> (a, d): every pair and head by itself."""
    size = WIDTH // HEADS
    q, kv = affine(module.query, queries), affine(module.key_value, keys)
    attended = np.zeros_like(queries)
    for a in range(len(queries)):
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            logits = np.array([q[a, part] @ kv[b, :WIDTH][part] / math.sqrt(size) for b in range(len(keys))])
            weights = np.exp(logits) / np.exp(logits).sum()
            attended[a, part] = sum(weights[b] * kv[b, WIDTH:][part] for b in range(len(keys)))
    x = layer_norm(module.norm_attention, queries + affine(module.out, attended))
    return layer_norm(module.norm_out, x + affine(module.feed_forward[2], gelu(affine(module.feed_forward[0], x))))


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 6), (4, 1), (4, 6)])
def test_tblock_follows_its_equations(a: int, b: int) -> None:
    module = filled(TBlock(WIDTH, HEADS))
    queries, keys = items(2, a, 1), items(2, b, 2)
    out = module(queries, keys).detach().numpy()
    for i in range(2):
        expected = block(module, queries[i].double().numpy(), keys[i].double().numpy())
        np.testing.assert_allclose(out[i], expected, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 17])
def test_bottleneck_follows_its_equations_for_any_number_of_items(n: int) -> None:
    module = filled(LatentBottleneck(WIDTH, HEADS, latents=4))
    x = items(2, n)
    out = module(x).detach().numpy()
    assert out.shape == (2, n, WIDTH)
    for i in range(2):
        one = x[i].double().numpy()
        gathered = block(module.gather, module.latents.detach().double().numpy(), one)
        np.testing.assert_allclose(out[i], block(module.spread, one, gathered), atol=1e-5)


def test_padding_that_the_mask_hides_changes_nothing() -> None:
    tblock, bottleneck = filled(TBlock(WIDTH, HEADS)), filled(LatentBottleneck(WIDTH, HEADS, latents=4))
    x, queries = items(2, 9), items(2, 3, 5)
    mask = torch.tensor([[True] * 4 + [False] * 5, [True] * 9])
    with torch.no_grad():
        for padding in (0.0, 1e3):
            padded = torch.where(mask[:, :, None], x, torch.tensor(padding))
            np.testing.assert_allclose(tblock(queries, padded, mask)[:1], tblock(queries[:1], x[:1, :4]), atol=1e-5)
            np.testing.assert_allclose(bottleneck(padded, mask)[:1, :4], bottleneck(x[:1, :4]), atol=1e-5)
            np.testing.assert_allclose(bottleneck(padded, mask)[1:], bottleneck(x[1:]), atol=1e-5)


def test_the_order_of_items_cannot_matter() -> None:
    tblock, bottleneck = filled(TBlock(WIDTH, HEADS)), filled(LatentBottleneck(WIDTH, HEADS, latents=4))
    x, queries = items(2, 9), items(2, 3, 5)
    order = torch.from_numpy(np.random.default_rng(3).permutation(9))
    with torch.no_grad():
        np.testing.assert_allclose(tblock(queries, x[:, order]), tblock(queries, x), atol=1e-5)
        np.testing.assert_allclose(bottleneck(x[:, order]), bottleneck(x)[:, order], atol=1e-5)
