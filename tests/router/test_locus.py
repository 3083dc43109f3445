"""The set encoder and predictor against the paper's equations, written out in plain numpy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from router.locus import Locus, LocusConfig
from router.predictor import Predictor

CONFIG = LocusConfig(d_query=12, d_model=16, layers=2, latents=5, heads=4, hidden=7, regions=6)
Array = NDArray[np.float64]


@pytest.fixture
def locus() -> Locus:
    torch.manual_seed(0)
    locus = Locus(CONFIG)
    with torch.no_grad():  # away from the special values that training starts at
        for parameter in locus.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        locus.local.regions.copy_(torch.nn.functional.normalize(torch.randn(6, 12), dim=1))
    locus.eval()
    return locus


def evaluations(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(n, 12)).astype(np.float32)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return q, rng.integers(0, 2, n).astype(np.float32)


def linear(w: dict[str, Array], name: str, x: Array) -> Array:
    out: Array = x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)
    return out


def norm(w: dict[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    out: Array = (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]
    )
    return out


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(__import__("math").erf)(x / np.sqrt(2)))


def tblock(w: dict[str, Array], name: str, q: Array, x: Array, heads: int) -> Array:
    """One set at a time: q (a, d), x (b, d) -> (a, d)."""
    d = q.shape[1]
    query, both = linear(w, f"{name}.query", q), linear(w, f"{name}.key_value", x)
    key, value = both[:, :d], both[:, d:]
    out = np.empty_like(q)
    for h in range(heads):
        part = slice(h * d // heads, (h + 1) * d // heads)
        scores = query[:, part] @ key[:, part].T / np.sqrt(d / heads)
        weights = np.exp(scores - scores.max(1, keepdims=True))
        out[:, part] = weights / weights.sum(1, keepdims=True) @ value[:, part]
    y = norm(w, f"{name}.norm_attention", q + linear(w, f"{name}.out", out))
    return norm(
        w, f"{name}.norm_out", y + linear(w, f"{name}.feed_forward.2", gelu(linear(w, f"{name}.feed_forward.0", y)))
    )


def reference_z(w: dict[str, Array], q: Array, y: Array) -> Array:
    tokens = np.concatenate([q, y[:, None], q * (2 * y[:, None] - 1)], axis=1)
    x = linear(w, "encoder.token.2", gelu(linear(w, "encoder.token.0", tokens)))
    for i in range(CONFIG.layers):
        h = tblock(w, f"encoder.layers.{i}.gather", w[f"encoder.layers.{i}.latents"], x, CONFIG.heads)
        x = tblock(w, f"encoder.layers.{i}.spread", x, h, CONFIG.heads)
    return tblock(w, "encoder.pool", w["encoder.seed"], x, CONFIG.heads)[0]


def reference_p(w: dict[str, Array], z: Array, profile: Array, x: Array) -> float:
    u = w["predictor.project.weight"] @ x
    hidden = np.maximum(linear(w, "predictor.mlp.0", np.concatenate([z, u, z * u])), 0)
    close = w["local.regions"] @ x / CONFIG.temperature
    a = np.exp(close - close.max())
    local = a / a.sum() @ profile
    logit = linear(w, "predictor.mlp.2", hidden)[0] + w["local.scale"] * np.log(local / (1 - local))
    return float(1 / (1 + np.exp(-logit)))


def test_embedding_and_prediction_follow_the_equations(locus: Locus) -> None:
    w = {name: array.astype(np.float64) for name, array in locus.weights().items()}
    q, y = evaluations(40)
    embedding = locus.embed(q, y)
    np.testing.assert_allclose(embedding.z, reference_z(w, q.astype(float), y.astype(float)), atol=2e-5)
    asked, _ = evaluations(9, seed=1)
    p = Predictor(locus.weights(), CONFIG.temperature, embedding.z[None], embedding.profile[None]).p_correct(asked)
    expected = [
        reference_p(w, embedding.z.astype(float), embedding.profile.astype(float), x.astype(float)) for x in asked
    ]
    np.testing.assert_allclose(p[:, 0], expected, atol=2e-5)


def test_the_numpy_predictor_equals_torch(locus: Locus) -> None:
    sets = [evaluations(30, seed) for seed in range(5)]
    asked, _ = evaluations(50, seed=9)
    embeddings = [locus.embed(q, y) for q, y in sets]
    predictor = Predictor(
        locus.weights(),
        CONFIG.temperature,
        np.stack([e.z for e in embeddings]),
        np.stack([e.profile for e in embeddings]),
    )
    with torch.no_grad():
        q, y = (torch.from_numpy(np.stack(part)) for part in zip(*sets, strict=True))
        expected = torch.sigmoid(locus(q, y, torch.from_numpy(asked).expand(5, -1, -1))).T.numpy()
    np.testing.assert_allclose(predictor.p_correct(asked), expected, atol=1e-5)


def test_the_order_of_the_evaluations_changes_not_one_bit(locus: Locus) -> None:
    q, y = evaluations(200)
    whole = locus.embed(q, y)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(200)
        shuffled = locus.embed(q[order], y[order])
        assert np.array_equal(shuffled.z, whole.z)
        assert np.array_equal(shuffled.profile, whole.profile)


def test_padding_changes_nothing(locus: Locus) -> None:
    q, y = evaluations(10)
    padded_q, padded_y = np.concatenate([q, np.ones((7, 12), np.float32)]), np.concatenate([y, np.ones(7, np.float32)])
    mask = torch.arange(17)[None] < 10
    asked = torch.from_numpy(evaluations(4, 3)[0])[None]
    with torch.no_grad():
        plain = locus(torch.from_numpy(q)[None], torch.from_numpy(y)[None], asked)
        masked = locus(torch.from_numpy(padded_q)[None], torch.from_numpy(padded_y)[None], asked, mask)
    np.testing.assert_allclose(plain, masked, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_any_set_size_embeds(locus: Locus, n: int) -> None:
    embedding = locus.embed(*evaluations(n))
    assert embedding.z.shape == (16,)
    assert np.isfinite(embedding.z).all()
    assert embedding.evaluations == n


def test_an_empty_set_or_a_wrong_width_is_an_error(locus: Locus) -> None:
    q, y = evaluations(4)
    with pytest.raises(ValueError, match="expected"):
        locus.embed(q[:0], y[:0])
    with pytest.raises(ValueError, match="expected"):
        locus.embed(q[:, :5], y)
    with pytest.raises(ValueError, match="expected"):
        locus.embed(q, y[:3])


def test_the_profile_is_the_shrunk_mean_near_each_region(locus: Locus) -> None:
    regions = locus.local.regions.numpy()
    q = np.repeat(regions[:1], 90, axis=0)  # all evaluations lie in region 0, two thirds right
    y = np.tile(np.array([1, 1, 0], np.float32), 30)
    profile = locus.embed(q, y).profile
    mean = (60 + 1) / (90 + 2)
    assert profile[0] == pytest.approx((60 + 10 * mean) / (90 + 10), abs=5e-3)
    assert profile[3] == pytest.approx(mean, abs=5e-3)  # nothing known there: the overall mean
