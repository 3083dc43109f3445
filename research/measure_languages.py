"""How well the shipped router understands other languages: 60 everyday questions in English and eight translations of each.

    OMP_NUM_THREADS=1 .venv/bin/python -m research.measure_languages [ENCODER_FOLDER]

Prints a Markdown table. For each language: the mean cosine of a question and its translation; of a question and the translations of
others; how often a translation's closest English question is its own; and, by the shipped checkpoint, the mean difference of
P(correct) between them, the correlation of their mean P(correct) over questions, and the correlation over models of P(correct)
(mean over questions). The even questions were looked at when the word list was made; `--odd` measures the others alone.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder
from router.encode.load import PRETRAINED
from router.encode.static import StaticEncoder
from router.model.serving import Router

QUESTIONS = Path(__file__).parent / "translations.tsv"
HEADER = ("language", "cosine", "of others", "found", "difference of P", "correlation over questions", "over models")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=PRETRAINED / "encoder")
    parser.add_argument("--odd", action="store_true")
    args = parser.parse_args()
    languages, *questions = (line.split("\t") for line in QUESTIONS.read_text(encoding="utf-8").splitlines())
    texts = dict(
        zip(languages, zip(*questions[1 if args.odd else 0 :: 2 if args.odd else 1], strict=True), strict=True)
    )
    encoder, router = QueryEncoder(StaticEncoder(args.folder, "measured")), Router.load()
    scorer = router.scorer(router.space.models)
    q = {language: encoder.encode(texts[language]) for language in languages}
    p = {language: np.asarray(scorer.p_correct(q[language])) for language in languages}
    rows = [_measure(q["en"], q[other], p["en"], p[other]) for other in languages[1:]]
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for language, row in zip([*languages[1:], "mean"], [*rows, np.mean(rows, axis=0)], strict=True):
        print(f"| {language} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


def _measure(
    q: NDArray[np.float32], q_other: NDArray[np.float32], p: NDArray[np.float32], p_other: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The six figures of one language.

    Args:
        q, q_other: encodings of n questions and of their translations, (n, d_q).
        p, p_other: P(correct), (n, models).
    """
    cosines = q_other[:, :256] @ q[:, :256].T
    n = len(q)
    own = np.diag(cosines)
    over_models = [np.corrcoef(a, b)[0, 1] for a, b in zip(p, p_other, strict=True)]
    return np.array(
        [
            own.mean(),
            (cosines.sum() - own.sum()) / (n * n - n),
            (cosines.argmax(axis=1) == np.arange(n)).mean(),
            np.abs(p - p_other).mean(),
            np.corrcoef(p.mean(axis=1), p_other.mean(axis=1))[0, 1],
            np.mean(over_models),
        ]
    )


if __name__ == "__main__":
    main()
