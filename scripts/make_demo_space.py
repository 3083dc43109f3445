"""Embeds the simulated models of the demo the way any new model joins: from scored queries, without training.

    .venv/bin/python scripts/make_demo_space.py

Asks each of them 1,080 generated questions, grades the answers, and writes gateway/demo/space.safetensors.
"""

import numpy as np

from gateway.commands.demo_portfolio import SPACE
from gateway.demo.questions import generate
from gateway.demo.skills import MODELS
from router.model.checkpoint import load_checkpoint
from router.model.embedding import Embeddings
from router.model.locus import Locus
from router.model.space import ModelSpace

QUESTIONS = 1_080
SEED = 20_260


def main() -> None:
    checkpoint = load_checkpoint()
    locus = Locus.restore(checkpoint.weights, checkpoint.card["config"])
    questions = list(generate(QUESTIONS, SEED))
    q = checkpoint.encoder().encode([question.prompt for question in questions])
    embeddings = []
    for model in MODELS:
        right = [f"The answer is {question.answer}." in model.answer(question.prompt) for question in questions]
        embeddings.append(locus.embed(q, np.array(right, np.float32)))
        print(f"{model.name}: {sum(right)} of {len(questions)} right")
    ModelSpace([model.name for model in MODELS], Embeddings.of(embeddings), checkpoint.id).save(SPACE)
    print(SPACE)


if __name__ == "__main__":
    main()
