"""Checkers: each takes the final answer out of what a model wrote, brings it into one form, and compares it."""
