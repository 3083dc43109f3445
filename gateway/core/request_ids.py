"""Generates the ids of requests."""

import random


def new_request_id() -> str:
    """Return a new id, for a request whose client did not send one. It is unique, but not secret."""
    return f"req_{random.getrandbits(128):032x}"  # the random numbers of the operating system take ten times as long
