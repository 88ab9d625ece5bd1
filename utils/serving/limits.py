"""What no request escapes: a key where one is asked for, a largest body, a longest time, and one line of log."""

import asyncio
import contextlib
import hmac
import itertools
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.serving.answers import JSON, Answer, Refused, busy, too_late
from utils.serving.observing import Observer
from utils.serving.options import Options

T = TypeVar("T")
Deciding = Callable[[str, Scope, Mapping[str, str], Receive], Awaitable[Answer]]
FACTS = "anomaly.facts"
"""Where a request keeps what is logged of it."""

OPEN = frozenset({"/health"})
"""Paths that need no key."""

OTHER_ROUTE = "other"
REQUEST_ID = "x-request-id"
GOOD_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
DISCARDED = 64_000_000
"""Bytes of a body that is too large that are read and thrown away, so that the client reads the answer."""

MOST_DIGITS = 20
"""Digits of a declared length that are looked at: more of them are too large in any case."""

CLIENT_GONE = 499


class Gate:
    """The outermost layer of the application: request id, key, log and metrics, and an answer whatever happens.

    Requests for decisions, ``POST /{model}/predict``, are answered here; all others go on to the routes.

    Args:
        app: the routes.
        options: of the service.
        observer: told of each request.
        decided: answers a request for decisions: name of the model, scope, headers, and what receives the body.
    """

    def __init__(self, app: ASGIApp, options: Options, observer: Observer, decided: Deciding) -> None:
        self.app = app
        self.key = options.key.encode()
        self.observer = observer
        self.decided = decided
        self._begun, self._number = uuid.uuid4().hex[:20], itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = headers_of(scope)
        facts: dict[str, Any] = {"method": scope["method"], "request_id": self._request_id(headers)}
        scope[FACTS] = facts
        sending = _Sending(send, facts["request_id"])
        start = time.perf_counter()
        self.observer.began()
        try:
            await self._passed(scope, headers, receive, sending)
        except ClientDisconnect:
            sending.status = CLIENT_GONE
        finally:
            route = facts.pop("route", OTHER_ROUTE)
            self.observer.ended(route, sending.status or CLIENT_GONE, time.perf_counter() - start, facts)

    async def _passed(self, scope: Scope, headers: Mapping[str, str], receive: Receive, sending: "_Sending") -> None:
        try:
            self._check_key(scope, headers)
            if model := _model_asked(scope):
                await answer(await self.decided(model, scope, headers, receive), sending)
            else:
                await self.app(scope, receive, sending)
        except ClientDisconnect:
            raise
        except Refused as refused:
            await answer(refused.answer, sending)
        except Exception as error:  # a client never sees a traceback
            self.observer.failed(error, {"request_id": scope[FACTS]["request_id"]})
            if not sending.status:
                said = "the service failed on this request: report its request id"
                await answer(Refused(500, "internal", said).answer, sending)

    def _request_id(self, headers: Mapping[str, str]) -> str:
        """The id that the client gave, if it is one; else a new one."""
        given = headers.get(REQUEST_ID, "")
        return given if given and GOOD_ID.fullmatch(given) else f"{self._begun}{next(self._number):012x}"

    def _check_key(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Ask for the key, in constant time.

        Raises:
            Refused: if it is missing or wrong.
        """
        if not self.key or scope["path"] in OPEN:
            return
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self.key):
            said = "a request must carry the key in X-API-Key or as a bearer token, found none that fits: send the key"
            raise Refused(401, "unauthorized", said, "X-API-Key", {"www-authenticate": "Bearer"})


class _Sending:
    """Sends with the request id, and remembers the status: 0 before anything was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.status = 0
        self._send, self._id = send, request_id.encode()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", []).append((REQUEST_ID.encode(), self._id))
        with contextlib.suppress(OSError):
            await self._send(message)


class Work:
    """Decisions in threads, so many at a time and for so long; the event loop stays free for others."""

    def __init__(self, options: Options, failed: Callable[[BaseException], object]) -> None:
        self._failed = failed
        self.seconds, self.most = options.seconds, options.most_waiting
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="decide")
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="count")
        self._running: set[threading.Event] = set()
        self.stopped = False

    async def run(self, function: Callable[[threading.Event], T]) -> T:
        """Run a function that looks at the event it is given now and then, and ends when it is set.

        Raises:
            Refused: if it takes too long, or too many are waiting.
        """
        if len(self._running) >= self.most:
            raise busy(len(self._running))
        stop = threading.Event()
        self._running.add(stop)
        future = asyncio.get_running_loop().run_in_executor(self._pool, function, stop)
        future.add_done_callback(lambda done: self._finished(done, stop))
        done, _ = await asyncio.wait({future}, timeout=self.seconds)
        if not done:
            stop.set()
            future.cancel()
            raise too_late(self.seconds)
        return future.result()

    async def aside(self, function: Callable[[], T]) -> T:
        """Run a function in a thread that decisions never keep busy."""
        return await asyncio.get_running_loop().run_in_executor(self._behind, function)

    def later(self, function: Callable[[], object]) -> None:
        """Run what nobody waits for, one after the other; what fails is told to nobody but ``failed``."""
        self._behind.submit(function).add_done_callback(self._look_at)

    def stop(self) -> None:
        """Give up what is running; what waits is not begun."""
        self.stopped = True
        self._behind.shutdown(wait=False, cancel_futures=True)
        for event in self._running:
            event.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look_at(self, done: "Future[Any]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._failed(error)

    def _finished(self, done: "asyncio.Future[Any]", stop: threading.Event) -> None:
        self._running.discard(stop)
        if not done.cancelled():
            done.exception()  # one that nobody waits for any more has been asked for


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by name in lower case; of one that stands twice the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def check_json(headers: Mapping[str, str]) -> None:
    """Check that a body says to be JSON in UTF-8, not compressed.

    Raises:
        Refused: if it does not.
    """
    given = headers.get("content-type", "")
    if given == JSON and "content-encoding" not in headers:
        return
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        found = kind[:60] or "none"
        raise Refused(415, "not_json", f"the content type must be {JSON}, found {found}: send JSON", "Content-Type")
    if (charset := _charset(parameters)) not in ("", "utf-8", "utf8"):
        raise Refused(
            415, "not_json", f"JSON must be in UTF-8, found {charset[:40]}: write it in UTF-8", "Content-Type"
        )
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        said = f"the body must not be compressed, found {coding[:40]}: send it as it is"
        raise Refused(415, "not_json", said, "Content-Encoding")


def _charset(parameters: str) -> str:
    """The charset among the parameters of a content type, in lower case; empty if none names it."""
    pairs = (parameter.partition("=") for parameter in parameters.lower().split(";"))
    return next((value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"), "")


async def body_of(headers: Mapping[str, str], receive: Receive, most: int, seconds: float) -> bytes:
    """Receive a body of at most so many bytes, declared or not, in at most so many seconds.

    Raises:
        Refused: if it is larger or slower.
        ClientDisconnect: if the client goes away.
    """
    declared = headers.get("content-length", "")
    size = int(declared[:MOST_DIGITS]) if declared.isdecimal() else 0
    if size > DISCARDED:
        raise _too_large(most)
    try:
        async with asyncio.timeout(seconds):
            received, body = await _received(receive, most if size <= most else 0)
    except TimeoutError:
        said = f"the body must arrive within {seconds:g} s, but did not: send it faster, or in parts"
        raise Refused(408, "too_slow", said, "body", {"connection": "close"}) from None
    if received > most or size > most:
        raise _too_large(most)
    return body


async def answer(said: Answer, send: Send) -> None:
    """Send an answer."""
    headers = {"content-type": JSON, "content-length": str(len(said.body)), **said.headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": said.status, "headers": raw})
    await send({"type": "http.response.body", "body": said.body})


async def _received(receive: Receive, most: int) -> tuple[int, bytes]:
    """Bytes that came, and the body as long as it is not larger than ``most``.

    Raises:
        Refused: if no end is to be expected.
        ClientDisconnect: if the client goes away.
    """
    parts: list[bytes] = []
    received, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        received += len(part)
        if received > DISCARDED:
            raise _too_large(most)
        if received > most:
            parts.clear()
        else:
            parts.append(part)
        more = message.get("more_body", False)
    return received, parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> Refused:
    message = f"the body may have {most:,} bytes at most, but has more: send the rows in parts"
    return Refused(413, "too_large", message, "body", {"connection": "close"})


def _model_asked(scope: Scope) -> str:
    """The model that decisions are asked of, if they are."""
    if scope["method"] != "POST" or scope.get("root_path"):
        return ""
    parts = scope["path"].split("/")
    return str(parts[1]) if len(parts) == 3 and parts[2] == "predict" else ""
