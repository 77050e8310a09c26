"""Hands connections at ADDRESS PORT on to port TARGET of loopback: `python -m tests.faults.relay ADDRESS PORT TARGET`.

So a host of `network` reaches a database that listens on loopback only.
"""

import socket
import sys
import threading
from contextlib import suppress


def forward(address: str, port: int, target: int) -> None:
    """Hand every connection on to a port of loopback, for good."""
    with socket.create_server((address, port)) as server:
        while True:
            near, _ = server.accept()
            far = socket.create_connection(("127.0.0.1", target))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pour, args=(source, sink), daemon=True).start()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            sink.sendall(content)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    forward(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
