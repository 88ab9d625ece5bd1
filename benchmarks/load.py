"""Clients that keep their connections, in a process of their own and with little work, so that the server is measured.

``python -m benchmarks.load PORT PATH BODIES CLIENTS REQUESTS`` sends the lines of a file in turn, each as one request,
and says as JSON what came back when.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

END = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request.

    Args:
        shared: what all clients do together.
    """

    def __init__(self, shared: "Shared") -> None:
        self.shared = shared
        self.buffer = b""
        self.at = -1
        self.begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; send the next request when it is complete."""
        self.buffer += data
        head, found, body = self.buffer.partition(END)
        if not found:
            return
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        size = int(lower[start:].split(b"\r\n", 1)[0])
        if len(body) < size:
            return
        self.shared.took(self.at, int(head[9:12]), body, time.perf_counter() - self.begun)
        self.buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that is gone."""
        self.shared.left()

    def _send(self) -> None:
        at = self.shared.next()
        if at is None:
            self.transport.close()
            return
        self.at, self.begun = at, time.perf_counter()
        self.transport.write(self.shared.requests[at % len(self.shared.requests)])


class Shared:
    """What clients do together.

    Args:
        requests: whole requests of HTTP.
        count: how many are sent.
        clients: connections.
    """

    def __init__(self, requests: Sequence[bytes], count: int, clients: int) -> None:
        self.requests, self.count, self.open = requests, count, clients
        self.sent = 0
        self.seconds: list[float] = []
        self.failed = 0
        self.answers: dict[int, str] = {}
        self.done = asyncio.Event()

    def next(self) -> int | None:
        """Number of the next request; nothing when all are sent."""
        if self.sent == self.count:
            return None
        self.sent += 1
        return self.sent - 1

    def took(self, at: int, status: int, body: bytes, seconds: float) -> None:
        """Note an answer."""
        self.seconds.append(seconds)
        self.failed += status != 200
        if at < len(self.requests):
            self.answers[at] = body.decode()

    def left(self) -> None:
        """Note that a client has ended."""
        self.open -= 1
        if not self.open:
            self.done.set()


async def run(port: int, path: str, bodies: Sequence[bytes], clients: int, count: int) -> dict[str, object]:
    """Send requests and gather what came back.

    Args:
        port: of the server, on this machine.
        path: of the requests.
        bodies: sent in turn.
        clients: connections at the same time.
        count: requests of all together.
    """
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [head.encode() + str(len(body)).encode() + END + body for body in bodies]
    shared = Shared(requests, count, clients)
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    await asyncio.gather(*(loop.create_connection(lambda: Client(shared), "127.0.0.1", port) for _ in range(clients)))
    await shared.done.wait()
    answers = [shared.answers.get(place, "") for place in range(min(len(bodies), count))]
    return {
        "elapsed": time.perf_counter() - begin,
        "seconds": shared.seconds,
        "failed": shared.failed + count - len(shared.seconds),
        "answers": answers,
    }


if __name__ == "__main__":
    port, path, file, clients, count = sys.argv[1:]
    lines = Path(file).read_bytes().splitlines()
    print(json.dumps(asyncio.run(run(int(port), path, lines, int(clients), int(count)))))
