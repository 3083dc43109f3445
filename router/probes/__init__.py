"""Probes: questions with checkable answers, which show what a model can do. Banks of them, and what grades an answer."""
