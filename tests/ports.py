"""Ports for servers that a test starts a moment later."""

import random
import socket

_RANGE = range(20_000, 32_000)
"""Below the ports that Linux hands out by itself (``ip_local_port_range``): those are taken meanwhile by kernels of other tests."""
_random = random.SystemRandom()


def free_port() -> int:
    """Give a port of the loopback interface that nobody listens on."""
    while True:
        port = _random.choice(_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def free_ports(count: int) -> list[int]:
    """Give several, all different."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
