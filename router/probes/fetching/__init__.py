"""Fetches public benchmarks to the user's machine, as banks."""
