"""Ports for processes that are started with the number of one."""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")  # of Linux
LOWEST = 20_000


def free_port() -> int:
    """A free port of 127.0.0.1, below those that the system hands out: no other socket gets it before the process listens."""
    end = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(min(LOWEST, end - 1_000), end)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:  # in use
            continue
        return port
