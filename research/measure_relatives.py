"""Measures how far a model's P(correct) is from that of the relative whose embedding it would borrow; see `router.model.relatives`.

Each model of the shipped space is taken for one that was never evaluated: its name, with all dates and reasoning settings, is
removed from the space and from the name prior. What it would borrow is compared with its own embedding on the anchor queries.
P(correct) of its own has a standard error too: a truth is drawn from it.

    python -m research.measure_relatives
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from router.model.checkpoint import load_checkpoint
from router.model.embedding import Embeddings
from router.model.locus import Locus
from router.model.model_names import identity
from router.model.name_prior import NamePrior
from router.model.predictor import Prediction, Predictor
from router.model.relatives import Relatives
from router.model.serving import SPACE
from router.model.space import ModelSpace

Floats = NDArray[np.float64]
WELL_KNOWN = 0.08  # standard error of P(correct) up to which a model counts as well known on a query


def base(name: str) -> str:
    """The name without provider, date and reasoning setting."""
    return identity(name.rpartition(":")[0] or name).base


def groups(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The names that are variants of one model."""
    by_base: dict[str, list[str]] = {}
    for name in names:
        by_base.setdefault(base(name), []).append(name)
    return (tuple(group) for group in by_base.values())


def without(locus: Locus, space: ModelSpace, left_out: Sequence[str]) -> tuple[Locus, ModelSpace]:
    """A LOCUS and a space that have never heard of these models."""
    bases = {base(name) for name in left_out}
    prior = locus.names
    kept = [i for i, name in enumerate(prior.names) if base(name) not in bases]
    names = NamePrior(tuple(prior.names[i] for i in kept), prior.levels[kept], prior.errors[kept], prior.scales)
    rows = [i for i, name in enumerate(space.models) if base(name) not in bases]
    smaller = ModelSpace([space.models[i] for i in rows], space.embeddings.take(rows), space.checkpoint)
    return replace(locus, names=names), smaller


def borrowed(locus: Locus, space: ModelSpace, every: int = 1) -> tuple[list[str], Embeddings, Embeddings]:
    """Names, what they would borrow, and the relatives' own embeddings, for the models of each `every`-th group."""
    names, lent, plain = [], [], []
    for group in list(groups(space.models))[::every]:
        fewer, smaller = without(locus, space, group)
        relatives = Relatives(fewer, smaller)
        for name in group:
            if (found := relatives.find([name])) is None:
                continue
            names.append(name)
            lent.append(relatives.borrow(name, found[1].name))
            plain.append(int(space.rows([found[1].name])[0]))
    return names, Embeddings.of(lent), space.embeddings.take(plain)


def graded(locus: Locus, models: Embeddings) -> Prediction:
    """Predictions on the anchors, as benchmarks grade them."""
    return Predictor(locus, models).predict_asked(locus.asked(locus.features.anchors, graded=True))


def main() -> None:
    """Print the figures."""
    loaded = load_checkpoint()
    locus, space = Locus.restore(loaded.weights, loaded.card["config"]), ModelSpace.load(SPACE)
    names, lent, plain = borrowed(locus, space)
    own, of_lent, of_plain = (graded(locus, one) for one in (space.embeddings.take(space.rows(names)), lent, plain))
    truth = own.p_correct + own.standard_error * np.random.default_rng(0).standard_normal(own.p_correct.shape)
    well = own.standard_error <= WELL_KNOWN
    print(
        f"{len(names)} of {len(space.models)} models have a relative; {well.mean():.3f} of the predictions are well known"
    )
    for what, found in (("the relative's own embedding", of_plain), ("borrowed embedding", of_lent)):
        off = found.p_correct - own.p_correct
        inside = np.abs(found.p_correct - truth) <= found.standard_error
        print(
            f"{what}: rms difference {_rms(off):.3f}, well known {_rms(off[well]):.3f}; one standard error covers "
            f"{inside.mean():.3f}, well known {inside[well].mean():.3f}; mean standard error {found.standard_error.mean():.3f}"
        )


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.square(values).mean()))


if __name__ == "__main__":
    main()
