"""Trains the domain classifier: query encoding -> posterior over the kinds of question in the training data.

A domain is a category of a benchmark with enough queries; the smaller categories of a benchmark are one more domain together.
Labels are properties of queries, never of models. Data without categories has one domain per benchmark.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from router.data.dataset import Queries

MIN_QUERIES = 30  # of a category in split train, to be a domain of its own
HIDDEN = 256
EPOCHS = 20
BATCH = 256
RATE = 4e-3  # peak learning rate
DROPOUT = 0.3
NOISE = 0.1  # standard deviation of the noise on standardised encodings
SMOOTHING = 0.02  # of labels: keeps posteriors on training queries about as soft as on new ones


@dataclass(frozen=True)
class Domains:
    """C domains in B benchmarks.

    Attributes:
        benchmarks: B names, sorted.
        names: C names, sorted: `benchmark/category`, or `benchmark` for its smaller categories.
        parent: index of each domain's benchmark, (C,), int64.
        of_query: domain of each query, (Q,), int64; -1 for a benchmark without training queries.
    """

    benchmarks: tuple[str, ...]
    names: tuple[str, ...]
    parent: NDArray[np.int64]
    of_query: NDArray[np.int64]


def find_domains(data: Queries) -> Domains:
    """Finds the domains of split `train` and labels all queries with them."""
    full = np.array(
        [f"{b}/{c}" if c else b for b, c in zip(data.benchmarks.tolist(), data.categories.tolist(), strict=True)]
    )
    train = data.splits == "train"
    names, counts = np.unique(full[train], return_counts=True)
    large = set(names[counts >= MIN_QUERIES].tolist())
    labels = np.array([f if f in large else b for f, b in zip(full.tolist(), data.benchmarks.tolist(), strict=True)])
    kept = sorted(set(labels[train].tolist()))
    benchmarks = sorted(set(data.benchmarks[train].tolist()))
    index = {name: i for i, name in enumerate(kept)}
    of_benchmark = {name: i for i, name in enumerate(benchmarks)}
    return Domains(
        tuple(benchmarks),
        tuple(kept),
        np.array([of_benchmark[name.split("/", 1)[0] if name not in of_benchmark else name] for name in kept]),
        np.array([index.get(label, -1) for label in labels.tolist()]),
    )


@dataclass(frozen=True)
class Classifier:
    """Weights of a two-layer network, float32: (d_q, H), (H,), (H, C), (C,)."""

    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output: NDArray[np.float32]
    output_bias: NDArray[np.float32]


def train_classifier(
    x: NDArray[np.float32], labels: NDArray[np.int64], classes: int, seed: int, progress: Callable[[int, float], None]
) -> Classifier:
    """Minimises the cross-entropy on the training queries, with dropout, noise on the encodings and smoothed labels.

    AdamW with a one-cycle schedule. The same seed and number of threads give the same weights on one kind of CPU.

    Args:
        x: standardised encodings of the training queries, (n, d_q), float32.
        labels: domain of each, (n,), int64, from 0 to `classes` - 1.
        classes: C.
        seed: of the initial weights, the batches, the dropout and the noise.
        progress: called with epoch and loss after each of `EPOCHS` epochs.
    """
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)
    steps = EPOCHS * -(-len(x) // BATCH)  # batches, rounded up
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x)).split(BATCH):  # type: ignore[no-untyped-call]
            noisy = inputs[rows] + NOISE * torch.randn(len(rows), x.shape[1])  # (BATCH, d_q)
            loss = F.cross_entropy(network(noisy), targets[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        progress(epoch + 1, total / len(x))
    hidden_t, hidden_bias, output_t, output_bias = network.parameters()
    arrays = (hidden_t.T, hidden_bias, output_t.T, output_bias)  # torch keeps (out, in); ψ multiplies x @ (in, out)
    return Classifier(*(np.ascontiguousarray(array.detach().numpy()) for array in arrays))
