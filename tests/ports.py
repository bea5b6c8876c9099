"""Ports for servers that tests start."""

import os
import socket

# Below those that a system gives to whoever calls out: none of these is taken between
# the moment when it is found free and the one in which a server listens on it.
_FIRST, _MANY = 12_000, 18_000


def free_port() -> int:
    """Return a port that nobody listens on; two workers hardly draw the same."""
    while True:
        # Not `random`: that begins alike in each worker.
        port = _FIRST + int.from_bytes(os.urandom(4)) % _MANY
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
