"""Uses the router from Python: predicts, chooses, embeds a new model and finds its neighbours.

    python examples/route_in_python.py

Uses the shipped checkpoint and no network.
"""

from router import Embedding, Router

MODELS = ("anthropic/claude-opus-5", "openai/gpt-oss-20b", "Qwen/Qwen3.5-9B")
QUERIES = (
    "How many moles are in 36 g of water?",
    "Prove that the square root of 2 is irrational.",
    "Which of these is a mammal?\n(A) trout\n(B) whale\n(C) eagle",
)


def evaluate_new_model(router: Router) -> Embedding:
    """The embedding of a model that adds correctly and knows nothing else; 128 scored queries stand for a real evaluation."""
    sums = [f"What is {a} + {a + 7}?" for a in range(64)]
    facts = [f"In which year was element {number} of the periodic table discovered?" for number in range(1, 65)]
    return router.embed([*sums, *facts], [1.0] * len(sums) + [0.0] * len(facts))


def main() -> None:
    router = Router.load()
    new_model = evaluate_new_model(router)
    prediction = router.predict(QUERIES, [*MODELS, new_model])  # p_correct: (3 queries, 4 models)

    print(f"{'P(correct) ± standard error':34}", *(f"query {i}".rjust(13) for i in range(1, len(QUERIES) + 1)))
    for column, name in enumerate([*MODELS, "new model"]):
        cells = zip(prediction.p_correct[:, column], prediction.standard_error[:, column], strict=True)
        print(f"{name:34}", *(f"{p:.2f} ± {error:.2f}".rjust(13) for p, error in cells))

    best = prediction.p_correct[:, : len(MODELS)].argmax(axis=1)  # (3,), index into MODELS
    for query, column in zip(QUERIES, best, strict=True):
        print(f"{query.splitlines()[0]!r} -> {MODELS[column]}")

    print("\nnearest to the new model:")
    for neighbor in router.neighbors(new_model, k=3):
        print(f"  {neighbor.distance:.3f}  {neighbor.model}")


if __name__ == "__main__":
    main()
