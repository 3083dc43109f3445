"""Whether distances in the space are disagreements, for `research.measure_encoder`."""

import numpy as np

from research.bench.tables.geometry import EUCLIDEAN, correlations, disagreement, distances
from research.encoder_predictions import Comparison
from router.data.pools import pools
from router.model.predictor import Predictor

GEOMETRY_POOL = "mmlu_pro"


def correlations_of(comparison: Comparison, with_onboarding: bool) -> tuple[float, float, int]:
    """Pearson correlation of two distances with disagreement on the split, and the number of pairs.

    The distances, from all train evaluations: of z, and the root mean square difference of P(correct) over the anchors that are
    most probably of this benchmark.
    """
    data, locus = comparison.data, comparison.locus
    excluded = None if with_onboarding else data.onboarding
    pool = next(pool for pool in pools(data, comparison.split, excluded) if pool.name == GEOMETRY_POOL)
    rows, every = comparison.embedder.embed(data, named=True)
    embeddings = every.take([int(np.flatnonzero(rows == m)[0]) for m in pool.models])
    observed = disagreement(data.scores[np.ix_(pool.models, pool.queries)])
    pairs = np.triu(~np.isnan(observed), 1)
    kinds = locus.anchors.features.benchmarks.argmax(axis=1)
    own = np.bincount(locus.features(comparison.q[pool.queries]).benchmarks.argmax(axis=1)).argmax()
    asked = locus.asked(locus.features.anchors[kinds == own], graded=True)
    p = Predictor(locus, embeddings).predict_asked(asked).p_correct.T.astype(np.float64)  # (M, anchors)
    found = (distances(embeddings.z)[EUCLIDEAN], np.sqrt(((p[:, None] - p) ** 2).mean(axis=2)))
    of_z, of_p = (correlations(distance[pairs], observed[pairs])["pearson"] or 0.0 for distance in found)
    return of_z, of_p, int(pairs.sum())
