"""A local HTTP server that answers each path as a test plans it: well, badly, slowly, or not at all."""

import contextlib
import socket
import struct
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class MisbehavingServer:
    """Serve planned answers on a free port of this machine.

    ``plan(path, first, second)`` gives the first request for a path the first answer, all later ones the second.
    An answer is a function that takes the request handler.
    """

    def __init__(self):
        self.plans = {}
        self.seen = defaultdict(int)
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def address(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def plan(self, path, *answers):
        self.plans[path] = answers
        return self.address + path

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def next_answer(self, path):
        with self._lock:
            answers = self.plans.get(path, (status(404),))
            self.seen[path] += 1
            return answers[min(self.seen[path], len(answers)) - 1]

    def _handler(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            released = owner.released

            def do_GET(self):
                with contextlib.suppress(OSError):
                    owner.next_answer(self.path)(self)

            def log_message(self, *_):
                pass

        return Handler


def good(content):
    return lambda handler: _send(handler, content, len(content))


def status(code):
    return lambda handler: handler.send_error(code)


def truncated(content, keep):
    """Announce the whole, send a part, close in order."""
    return lambda handler: _send(handler, content[:keep], len(content))


def unannounced(content):
    """Send without a length, so that only the digest can tell that it is cut."""
    return lambda handler: _send(handler, content, None)


def reset(content, keep):
    """Send a part, then tear the connection down with a TCP reset."""

    def answer(handler):
        _send(handler, content[:keep], len(content))
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.rfile.close()
        handler.wfile.close()
        handler.connection.close()

    return answer


def silent(content=b"", keep=0):
    """Send a part (or not even a head), then nothing more."""

    def answer(handler):
        if content:
            _send(handler, content[:keep], len(content))
        handler.released.wait(30)

    return answer


def dripping(content, piece, pause, arrived=None):
    """Send a piece at a time for as long as the other side listens."""

    def answer(handler):
        _send(handler, b"", len(content))
        for start in range(0, len(content), piece):
            handler.wfile.write(content[start : start + piece])
            if arrived is not None:
                arrived.set()
            if handler.released.wait(pause):
                return

    return answer


def redirect(address):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def no_http(handler):
    handler.wfile.write(b"220 this is another service\r\n")


def wrong_length(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "many")
    handler.end_headers()


def after(action, answer):
    """Do something first: wait for others, change a file."""

    def both(handler):
        action()
        answer(handler)

    return both


def _send(handler, body, length):
    handler.send_response(200)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)
