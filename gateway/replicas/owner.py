"""Names a process as the owner of jobs in the database, and tells whether it is gone."""

import os
import secrets

from gateway.replicas.presence import is_killed, this_machine

BEAT_S = 1.0  # between two beats of the owner of a job
GONE_S = 10.0  # without a beat the process is gone


def process_name() -> str:
    """Names this process as an owner of jobs; each time by another name."""
    return f"{this_machine()} {os.getpid()} {secrets.token_hex(4)}"


def is_gone(owner: str | None, silence_s: float) -> bool:
    """True if the owner of a job has sent no beat for long, or is a process of this machine that is no more."""
    machine, _, process = (owner or "").rpartition(" ")[0].rpartition(" ")
    return silence_s > GONE_S or (process.isdecimal() and is_killed(machine, int(process)))
