"""The application: which addresses there are and what each answers."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from utils.serving import answers, bodies, decisions, described
from utils.serving.answers import JSON, Answer, Refused, invalid, no_champion, unknown_model
from utils.serving.decisions import EXPLAINED, Decided, Explained
from utils.serving.limits import FACTS, Gate, Work, body_of, check_json, headers_of
from utils.serving.observing import METRICS_TYPE, Observer
from utils.serving.options import Options
from utils.serving.registry import Registry, Served
from utils.serving.requests import Asked

SMALL = 16_384
"""Bytes of a body up to which a compiled champion answers at once; the way to a thread and back takes longer."""

SMALL_TEXTS = 1_024
"""The same where texts are read: each takes a fraction of a millisecond, and a long one more than its share."""

LOOK_SECONDS = 0.02
COUNT_SECONDS = 1.0
"""Time that rows wait until they are counted for drift."""

PREDICT = "/{model}/predict"
ERRORS = {404: "not_found", 405: "method_not_allowed"}


class Result(NamedTuple):
    """An answer to a request for decisions, and what is counted of it."""

    body: bytes
    asked: Asked
    decided: Decided

    @property
    def alarms(self) -> int:
        """Number of anomalies."""
        return sum(map(bool, self.decided.columns["decision"]))


class Service:
    """What the routes share: the champions, the threads that decide, and the observer."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.observer = Observer()
        self.registry = Registry(options.models, options.watch_seconds, self.observer.told)
        self.work = Work(options, self.observer.failed)
        self._counting: list[Served] = []

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Load while the application runs."""
        self.registry.start()
        try:
            yield
        finally:
            self.registry.stop()
            self.work.stop()

    async def health(self, request: Request) -> Response:
        """Say that the service lives, and which models answer."""
        _route(request, "/health")
        return _json(described.health(self.registry))

    async def models(self, request: Request) -> Response:
        """List the models."""
        _route(request, "/models")
        return _json({"models": [described.model(one) for one in self.registry.served.values()]})

    async def model(self, request: Request) -> Response:
        """Describe one model, with its card."""
        _route(request, "/models/{name}")
        served = await self._served(request.scope, request.path_params["name"])
        return _json({**described.model(served), "card": served.card, "columns": described.columns(served)})

    async def metrics(self, request: Request) -> Response:
        """All metrics, for Prometheus."""
        _route(request, "/metrics")
        drifts = {name: one.drift for name, one in self.registry.served.items() if one.drift is not None}
        text = await self.work.aside(
            lambda: self.observer.exposed({name: one.metrics() for name, one in drifts.items()})
        )
        return Response(text, media_type=METRICS_TYPE)

    async def openapi(self, request: Request) -> Response:
        """Describe the service as OpenAPI, with the bodies of the models that are loaded."""
        _route(request, "/openapi.json")
        return _json(described.openapi(self.registry.served, self.options))

    async def drift(self, request: Request) -> Response:
        """Compare what was asked so far with what the champion learned from."""
        _route(request, "/{model}/drift")
        served = await self._served(request.scope, request.path_params["model"])
        if (monitor := served.drift) is None:
            said = (
                f"version {served.version} of model {served.name!r} has no profile of its training: register it again"
            )
            raise Refused(404, "no_profile", said, "model")
        report = await self.work.aside(monitor.report)
        return _json({"model": served.name, "version": served.version, **report})

    async def predict(self, request: Request) -> Response:
        """Decide on the rows of a request; most requests are answered before they come to the routes."""
        name, headers = request.path_params["model"], headers_of(request.scope)
        said = await self.decided(name, request.scope, headers, request.receive)
        return Response(said.body, said.status, media_type=JSON, headers=dict(said.headers))

    async def decided(self, name: str, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Answer:
        """Answer a request for decisions.

        Raises:
            Refused: if there is no such model, or the request cannot be used.
            ClientDisconnect: if the client goes away.
        """
        facts = scope[FACTS]
        facts["route"] = PREDICT
        served = await self._served(scope, name)
        explained = _explained(scope["query_string"])
        check_json(headers)
        body = await body_of(headers, receive, self.options.most_bytes, self.options.seconds)
        at_once = len(body) <= _at_once(served) and explained == "none"
        if at_once:
            result = self.decide(served, body, explained, None)
        else:
            result = await self.work.run(partial(self.decide, served, body, explained))
        facts["rows"], facts["alarms"] = len(result.decided.columns["decision"]), result.alarms
        self._count(served, result)
        return Answer(200, result.body, {"x-model-version": str(served.version)})

    def decide(self, served: Served, body: bytes, explained: Explained, stop: threading.Event | None) -> Result:
        """Answer a body.

        Raises:
            Refused: if it cannot be used.
        """
        asked = served.reading.read(bodies.parsed(body), self.options.most_rows)
        try:
            decided = decisions.decide(served, asked.rows, explained, stop)
        except Refused as error:
            if isinstance(error.__cause__, decisions.UNREADABLE):
                self.observer.failed(error.__cause__, {"model": served.name, "version": served.version})
            raise
        return Result(answers.as_json(described.answer(served, asked, decided)), asked, decided)

    def _count(self, served: Served, result: Result) -> None:
        """Put what was asked aside; it is counted for drift a moment later, when nobody waits for it."""
        if served.drift is None:
            return
        columns = result.decided.columns
        served.drift.add(result.asked.rows, columns["score"], columns["decision"])
        if served not in self._counting:
            self._counting.append(served)
            asyncio.get_running_loop().call_later(COUNT_SECONDS, self._flush, served)

    def _flush(self, served: Served) -> None:
        self._counting.remove(served)
        if served.drift is not None and not self.work.stopped:
            self.work.later(served.drift.flush)

    async def _served(self, scope: Scope, name: str) -> Served:
        """The champion of a name; one that is still being loaded is loaded next and waited for.

        Raises:
            Refused: if there is none.
        """
        served = self.registry.served.get(name)
        deadline = time.monotonic() + self.options.seconds
        while served is None:
            self._check_coming(name, time.monotonic() < deadline)
            await asyncio.sleep(LOOK_SECONDS)
            served = self.registry.served.get(name)
        scope[FACTS].update(model=name, version=served.version)
        return served

    def _check_coming(self, name: str, in_time: bool) -> None:
        """Check that a model will come.

        Raises:
            Refused: if it will not, or not in time.
        """
        state, why = self.registry.state(name)
        known = self.registry.knows(name)
        if not known and (state == "no champion" or not in_time):
            raise unknown_model(name, self.registry.names)
        if state != "loading" or not in_time:
            raise no_champion(name, why or "it is still being loaded")
        self.registry.want(name)


def create(options: Options | None = None) -> FastAPI:
    """Make the application.

    Args:
        options: settings; the usual ones if not given.
    """
    service = Service(options or Options())
    app = FastAPI(title=described.TITLE, docs_url=None, redoc_url=None, openapi_url=None, lifespan=service.running)
    app.state.service = service
    for path, endpoint, method in (
        ("/health", service.health, "GET"),
        ("/metrics", service.metrics, "GET"),
        ("/openapi.json", service.openapi, "GET"),
        ("/models", service.models, "GET"),
        ("/models/{name}", service.model, "GET"),
        ("/{model}/drift", service.drift, "GET"),
        (PREDICT, service.predict, "POST"),
    ):
        app.add_route(path, endpoint, methods=[method])
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Refused, _refused)
    app.add_middleware(Gate, options=service.options, observer=service.observer, decided=service.decided)
    return app


def _route(request: Request, route: str) -> None:
    request.scope[FACTS]["route"] = route


def _at_once(served: Served) -> int:
    """Bytes of a body up to which it is answered without a thread."""
    if served.compiled is None:
        return 0
    return SMALL if served.compiled.champion.reader_ is None else SMALL_TEXTS


def _json(said: Any) -> Response:  # noqa: ANN401 - whatever JSON can say
    return Response(answers.as_json(said), media_type=JSON)


def _explained(query: bytes) -> Explained:
    """Which rows get reasons.

    Raises:
        Refused: if there is no such choice, or another parameter.
    """
    if not query:
        return "none"
    given = QueryParams(query).multi_items()
    for name, value in given:
        if name != "explain":
            raise invalid(f"the parameter must be explain, found {name[:60]!r}: leave it out", name)
        if value not in EXPLAINED:
            raise invalid(f"explain must be one of {', '.join(EXPLAINED)}, found {value[:60]!r}: choose one", name)
    if len(given) > 1:
        raise invalid("explain must be given once, found it several times: choose one", "explain")
    return next((choice for choice in EXPLAINED if given and choice == given[0][1]), "none")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    status, body, headers = error.answer
    return Response(body, status, media_type=JSON, headers=dict(headers))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    wanted = "GET /health, GET /models and POST /{model}/predict are some that there are"
    said = f"there is no {request.method} {request.url.path[:80]!r}: {wanted}"
    refused = Refused(error.status_code, ERRORS.get(error.status_code, "refused"), said, "path", error.headers)
    return await _refused(request, refused)
