"""The yardstick: `locus bench` measures every router of the literature, and ours, on the same evaluations."""
