"""Ids of requests that bring none of their own."""

import random


def new_request_id() -> str:
    """For a request that brings none of its own."""
    return (
        f"req_{random.getrandbits(128):032x}"  # unique, not secret: the system's own randomness costs ten times as much
    )
