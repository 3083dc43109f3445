"""The yardstick: `python -m research.bench` measures every router of the literature, and ours, on the same evaluations."""
