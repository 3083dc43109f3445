"""Makes the table of known difficulties beside the shipped bank of probes, `router/probes/shipped/known_difficulty.safetensors`.

    python -m research.make_known_difficulty DATA...

Of each question of split `train` in benchmarks whose scores may be handed on: what the models of the shipped space that were
trained on scored above their own predicted P(correct), mean. Questions whose key is not theirs alone are left out. The same data
and checkpoint give the same bytes on one kind of CPU.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.benchmarks import relative, unpublishable
from router.data.dataset import Dataset, load_datasets
from router.model.serving import Router
from router.probes.difficulty import TABLE, query_key, save_table
from router.train.evaluate import predict_all

OUT = Path(__file__).parents[1] / "router" / "probes" / "shipped" / TABLE
LEAST_MODELS = 3  # fewer say little of a question


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    router = Router.load()
    data = load_datasets(arguments.data).without(router.card["data"]["excluded_benchmarks"])
    residuals = known_residuals(router, data, router.encoder.encode(data.prompts), "train")
    number = (~np.isnan(residuals)).sum(axis=0)
    withheld = unpublishable(set(data.benchmarks.tolist())) | relative(set(data.benchmarks.tolist()))
    keys = [query_key(prompt) for prompt in data.prompts]
    counts = Counter(keys)
    alone = np.array([counts[key] == 1 for key in keys])
    kept = np.flatnonzero((number >= LEAST_MODELS) & alone & ~np.isin(data.benchmarks, list(withheld)))
    mean = np.nansum(residuals[:, kept], axis=0, dtype=np.float64) / number[kept]
    save_table(arguments.out, np.array(keys, np.uint64)[kept], mean, number[kept])
    print(f"{arguments.out}: {len(kept)} questions, {arguments.out.stat().st_size / 1000:.0f} kB")
    for name, count in Counter(data.benchmarks[kept].tolist()).most_common():
        print(f"  {name}: {count} of {int(((data.benchmarks == name) & (data.splits == 'train')).sum())}")


def known_residuals(router: Router, data: Dataset, q: NDArray[np.float32], split: str) -> NDArray[np.float32]:
    """Scores less the models' own predicted P(correct) on a split, (M, Q); NaN elsewhere and for models marked `onboarding`."""
    residuals = data.scores - predict_all(router.locus, data, q, router.space, split)
    residuals[data.onboarding] = np.nan
    return residuals


if __name__ == "__main__":
    main()
