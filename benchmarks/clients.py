"""Clients of a server, in a process of their own: each sends a picture, waits for the answer, and sends the next."""

import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import numpy as np


class Client(Thread):
    """One client with one connection.

    Args:
        port: of the server on this machine.
        requests: whole requests, which are sent in turn.
        until: when to stop, as `time.perf_counter` counts.
    """

    def __init__(self, port: int, requests: Sequence[bytes], until: float) -> None:
        super().__init__()
        self._port, self._requests, self._until = port, requests, until
        self.seconds: list[float] = []
        self.failures = 0

    def run(self) -> None:
        """Send requests until the time is over."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            number = 0
            while (start := time.perf_counter()) < self._until:
                connection.sendall(self._requests[number % len(self._requests)])
                number += 1
                self.failures += not _received(connection).startswith(b"HTTP/1.1 200")
                self.seconds.append(time.perf_counter() - start)


def _received(connection: socket.socket) -> bytes:
    """Return a whole response."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65536) or _closed()
    head, body = found.split(b"\r\n\r\n", 1)
    (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(length.partition(b":")[2]) - len(body)
    while left > 0:
        left -= len(connection.recv(65536) or _closed())
    return found


def _closed() -> bytes:
    raise ConnectionError("the server closed the connection")


def main(port: int, count: int, seconds: float, folder: Path) -> None:
    """Ask a server from *count* clients for so many seconds, and print what they measured as JSON."""
    requests = []
    for path in sorted(folder.glob("*/*")):
        body = path.read_bytes()
        requests.append(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    start = time.perf_counter()
    each = max(1, len(requests) // count)
    turns = [requests[number:] + requests[:number] for number in range(0, len(requests), each)]
    clients = [Client(port, turns[number % len(turns)], start + seconds) for number in range(count)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    spent = np.concatenate([one.seconds for one in clients])
    print(
        json.dumps(
            {
                "requests": len(spent),
                "failures": sum(one.failures for one in clients),
                "rate": len(spent) / (time.perf_counter() - start),
                "p50": float(np.percentile(spent, 50)),
                "p99": float(np.percentile(spent, 99)),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
