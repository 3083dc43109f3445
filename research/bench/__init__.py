"""The benchmark: `python -m research.bench` measures routers of the literature, and ours, on the same evaluations."""
