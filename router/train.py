"""Training: evaluations of many models -> weights of F_θ and G_ψ.

Each step draws benchmarks by the square root of their size, then a model of each: large ones do not drown small ones, and
small ones are not learned by heart. Of the model's
evaluations one random subset goes to the encoder, and a disjoint one to the decoder, which must predict it from z.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from router.data import Dataset
from router.errors import ArtifactError, DataError
from router.evaluate import embed_all, predictor_of
from router.locus import Locus, LocusConfig
from router.pools import pools, routed_scores
from router.space import ModelSpace

STATE = "train-state.pt"
SELECTION_EVALUATIONS = 1024  # per model, for the embeddings that a checkpoint is selected by
REGION_ITERATIONS = 30
SHARES = (
    0.0,
    0.1,
    0.2,
    0.35,
    0.5,
    0.75,
    1.0,
    1.5,
)  # of the embedding's log-odds, chosen on val; equals go to the smaller
MIN_EVALUATIONS = 32  # of one model on one benchmark, to be drawn


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Learning rates, decay and clipping are the paper's; the rest fits the run into 30 minutes on 2 cores.

    Attributes:
        batch_models: (benchmark, model) pairs per step.
        encoder_sizes: bounds of the encoder subset's size, drawn log-uniformly.
        decoder_size: evaluations to predict per pair.
        noise: standard deviation of Gaussian noise on each component of the encodings, at the start; falls to 0.
        own_benchmark: how often the encoder subset is drawn from the decoder's benchmark alone.
    """

    seed: int = 0
    steps: int = 2_500
    batch_models: int = 12
    encoder_sizes: tuple[int, int] = (16, 2048)
    decoder_size: int = 256
    noise: float = 0.04
    own_benchmark: float = 0.5
    lr_encoder: float = 2e-4
    lr_decoder: float = 8e-4
    weight_decay: float = 5e-2
    clip: float = 1.0
    select_every: int = 250


@dataclass(frozen=True)
class Trained:
    """The selected weights.

    Attributes:
        space: embeddings of every model from all its train evaluations, onboarding ones too; names no checkpoint yet.
        step: where the weights come from.
        share: of the embedding's log-odds beside the local term's, as `select` chose it.
        val_routing_accuracy: macro over pools, in [0, 1], that they were selected by.
    """

    locus: Locus
    space: ModelSpace
    step: int
    share: float
    val_routing_accuracy: float


Progress = Callable[[int, float, float | None], None]  # step, loss, newest val routing accuracy


def train(
    data: Dataset, q: NDArray[np.float32], config: TrainConfig, out: Path, progress: Progress = lambda *_: None
) -> Trained:
    """Trains on split `train`, selects on `val`; `test` and models marked `onboarding` are never read.

    State is kept in `out`, so that a run that was stopped goes on where it was, with the same result. Same data,
    configuration and number of threads give the same weights, bit for bit, on one kind of CPU.

    Args:
        q: query encodings, (Q, d_q), in the order of the dataset.

    Raises:
        DataError: nothing to train on or to select by.
        ArtifactError: `out` holds the state of another run.
    """
    torch.manual_seed(config.seed)
    locus = Locus(LocusConfig(d_query=q.shape[1]))
    locus.local.regions.copy_(_regions(q[data.where("train")], locus.config.regions, config.seed))
    sampler = _Sampler(data, q, config)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(locus.encoder.parameters()), "lr": config.lr_encoder},
            {"params": list(locus.predictor.parameters()), "lr": config.lr_decoder},
        ],
        weight_decay=config.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, config.steps))
    identity = {"config": asdict(config), "data": data.hash, "queries": len(data.query_ids), "d_query": q.shape[1]}
    best: dict[str, Any] = {"value": -1.0}
    start = 0
    state_file = out / STATE
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        if state["identity"] != identity:
            raise ArtifactError(
                f"{state_file}: the state of a run with other data or settings; remove it to start anew"
            )
        locus.load_state_dict(state["locus"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        best, start = state["best"], state["step"]
    newest = None if start == 0 else best["value"]
    for step in range(start, config.steps):
        loss = _step(locus, optimizer, sampler.batch(step), config)
        schedule.step()
        done = step + 1
        if done % config.select_every == 0 or done == config.steps:
            selection = select(locus, data, q, config.seed)
            newest = selection.routing_accuracy
            if newest > best["value"]:
                weights = {name: tensor.clone() for name, tensor in locus.state_dict().items()}
                best = {"value": newest, "share": selection.share, "step": done, "weights": weights}
            out.mkdir(parents=True, exist_ok=True)
            torch.save(
                {
                    "identity": identity,
                    "step": done,
                    "locus": locus.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "best": best,
                },
                state_file.with_suffix(".tmp"),
            )
            state_file.with_suffix(".tmp").replace(state_file)
        progress(done, loss, newest)
    locus.load_state_dict(best["weights"])
    locus.eval()
    space = embed_all(locus, data, q, "train", per_model=None, seed=config.seed, checkpoint="")
    calibrate(locus, data, q, space)
    return Trained(locus, space, best["step"], best["share"], best["value"])


@dataclass(frozen=True)
class Selection:
    """How good weights are on `val`, at the best share of the embedding's log-odds beside the local term's.

    Attributes:
        share: factor for the embedding's log-odds.
        routing_accuracy: macro over pools, in [0, 1].
    """

    share: float
    routing_accuracy: float


def select(locus: Locus, data: Dataset, q: NDArray[np.float32], seed: int) -> Selection:
    """Measures routing on `val` with embeddings from 1,024 train evaluations per model; onboarding models are left out.

    Raises:
        DataError: the val split has no query that two models answered.
    """
    space = embed_all(locus, data, q, "train", per_model=SELECTION_EVALUATIONS, seed=seed, checkpoint="")
    predictor, known = predictor_of(locus, data, space)
    queries = data.where("val")
    parts = [np.full(data.scores.shape, np.nan, np.float32) for _ in range(2)]
    for part, logits in zip(parts, (predictor.from_embedding, predictor.from_profile), strict=True):
        part[np.ix_(known, queries)] = logits(q[queries]).T
    routed = list(pools(data, "val", data.onboarding))
    if not routed:
        raise DataError("no query of split val was answered by two models: there is nothing to select a checkpoint by")
    best = Selection(0.0, -1.0)
    for share in SHARES:
        value = share * parts[0] + parts[1]
        accuracy = float(np.mean([routed_scores(data, pool, value).mean() for pool in routed]))
        if accuracy > best.routing_accuracy:
            best = Selection(share, accuracy)
    return best


def calibrate(locus: Locus, data: Dataset, q: NDArray[np.float32], space: ModelSpace) -> None:
    """Weighs the embedding's and the local term's log-odds, and an offset, by logistic regression on `val` (stacking).

    Folds the three numbers into the weights. Embeddings and profiles in `space` do not change by it.
    """
    predictor, known = predictor_of(locus, data, space)
    queries = data.where("val")
    scores = data.scores[np.ix_(known, queries)].T
    usable = ~np.isnan(scores) & ~data.onboarding[known][None, :]
    parts = (predictor.from_embedding(q[queries]), predictor.from_profile(q[queries]))
    x = torch.from_numpy(np.stack([part[usable] for part in parts], axis=1)).double()
    y = torch.from_numpy(scores[usable]).double()
    fit = torch.tensor([0.5, 0.5, 0.0], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([fit], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x @ fit[:2] + fit[2], y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    of_embedding, of_profile, offset = fit.detach().float()
    last = locus.predictor.mlp[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.mul_(of_embedding)
        last.bias.mul_(of_embedding).add_(offset)
        locus.local.scale.mul_(of_profile)


def _step(locus: Locus, optimizer: torch.optim.Optimizer, batch: "_Batch", config: TrainConfig) -> float:
    locus.train()
    z = locus.encoder(batch.q_encoder, batch.y_encoder, batch.mask)
    logits = locus.predictor(z[:, None], batch.q_decoder)
    loss = F.binary_cross_entropy_with_logits(logits, batch.y_decoder, weight=batch.weight, reduction="sum")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(locus.parameters(), config.clip)
    optimizer.step()
    return float(loss.detach())


def _regions(q: NDArray[np.float32], number: int, seed: int) -> Tensor:
    """Directions that the queries gather around: spherical k-means, (number, d_q), unit-norm."""
    rng = np.random.default_rng((seed, number))
    centres = q[rng.choice(len(q), number, replace=len(q) < number)]
    for _ in range(REGION_ITERATIONS):
        nearest = np.argmax(q @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, q)
        empty = np.flatnonzero(np.bincount(nearest, minlength=number) == 0)
        sums[empty] = q[rng.integers(len(q), size=len(empty))]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return torch.from_numpy(centres.astype(np.float32))


def _rate(step: int, steps: int) -> float:
    """Linear warm-up over the first 2%, then a cosine down to a tenth."""
    warm_up = max(1, steps // 50)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


@dataclass(frozen=True)
class _Batch:
    """q_encoder (B, n, d_q), y_encoder and mask (B, n), q_decoder (B, m, d_q), y_decoder and weight (B, m)."""

    q_encoder: Tensor
    y_encoder: Tensor
    mask: Tensor
    q_decoder: Tensor
    y_decoder: Tensor
    weight: Tensor


class _Sampler:
    """Draws the batch of a step from (seed, step) alone, so that a resumed run sees what an uninterrupted one does."""

    def __init__(self, data: Dataset, q: NDArray[np.float32], config: TrainConfig) -> None:
        self._data = data
        self._q = torch.from_numpy(q)
        self._config = config
        answered = ~np.isnan(data.scores) & (data.splits == "train")
        answered[data.onboarding] = False
        self._of_model = [np.flatnonzero(row) for row in answered]
        self._pairs: list[list[tuple[int, NDArray[np.int64]]]] = []
        for benchmark in sorted(set(data.benchmarks.tolist())):
            of_benchmark = data.benchmarks == benchmark
            rows = [(m, np.flatnonzero(row & of_benchmark)) for m, row in enumerate(answered)]
            rows = [(m, queries) for m, queries in rows if len(queries) >= MIN_EVALUATIONS]
            if rows:
                self._pairs.append(rows)
        if not self._pairs:
            raise DataError(f"no model has {MIN_EVALUATIONS} evaluations of a benchmark in split train")

        size = np.array([sum(len(queries) for _, queries in rows) for rows in self._pairs], np.float64)
        self._odds = np.sqrt(size) / np.sqrt(size).sum()

    def batch(self, step: int) -> _Batch:
        config = self._config
        rng = np.random.default_rng((config.seed, step))
        low, high = (math.log(size) for size in config.encoder_sizes)
        size = round(math.exp(rng.uniform(low, high)))
        encoder, decoder = [], []
        for _ in range(config.batch_models):
            rows = self._pairs[rng.choice(len(self._pairs), p=self._odds)]
            model, queries = rows[rng.integers(len(rows))]
            drawn = rng.permutation(queries)
            target = drawn[: min(config.decoder_size, len(drawn) // 2)]
            source = drawn[len(target) :]
            if rng.random() >= config.own_benchmark:
                source = rng.permutation(np.setdiff1d(self._of_model[model], target, assume_unique=True))
            encoder.append((model, source[:size]))
            decoder.append((model, target))
        q_encoder, y_encoder, mask = self._gather(encoder)
        q_decoder, y_decoder, real = self._gather(decoder)
        sigma = config.noise * (1 - step / config.steps)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        q_encoder = q_encoder + sigma * torch.randn(q_encoder.shape, generator=generator)
        q_decoder = q_decoder + sigma * torch.randn(q_decoder.shape, generator=generator)
        weight = real / real.sum(dim=1, keepdim=True) / len(decoder)
        return _Batch(q_encoder, y_encoder, mask, q_decoder, y_decoder, weight)

    def _gather(self, sets: list[tuple[int, NDArray[np.int64]]]) -> tuple[Tensor, Tensor, Tensor]:
        """Padded (B, n, d_q) encodings, (B, n) scores, (B, n) mask."""
        longest = max(len(queries) for _, queries in sets)
        index = np.zeros((len(sets), longest), np.int64)
        y = np.zeros((len(sets), longest), np.float32)
        mask = np.zeros((len(sets), longest), np.bool_)
        for i, (model, queries) in enumerate(sets):
            index[i, : len(queries)] = queries
            y[i, : len(queries)] = self._data.scores[model, queries]
            mask[i, : len(queries)] = True
        return self._q[torch.from_numpy(index)], torch.from_numpy(y), torch.from_numpy(mask)
