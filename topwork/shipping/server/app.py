"""The application: its addresses, and what it answers.

GET  /              a page to try the models
POST /predict       classify pictures: the answers of ``topwork predict --json``, as an array
GET  /models        the models, with their classes
GET  /healthz       whether the server runs
GET  /metrics       counts and times, for Prometheus
GET  /openapi.json  this, for programs
"""

import asyncio
import hmac
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from topwork.shipping.page.assembled import POLICY_SERVED, served
from topwork.shipping.server.bodies import rows_in
from topwork.shipping.server.metrics import Metrics
from topwork.shipping.server.models import Model, Workers
from topwork.shipping.server.openapi import described
from topwork.shipping.server.settings import Settings, is_loopback
from topwork.system.messages import named
from topwork.system.text import as_json

Endpoint = Callable[[Request], Awaitable[Response]]

AGAIN = {"Retry-After": "1"}
PLAINER = {
    404: "there is nothing at this address: expected /, /predict, /models, /healthz, /metrics or /openapi.json.",
    405: "expected POST for /predict, and GET for the other addresses.",
}
"""The messages for errors that Starlette raises without one, by status."""


class App:
    """The addresses of a server.

    Args:
        models: by name.
        settings: of the server.
    """

    def __init__(self, models: Mapping[str, Model], settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._workers, self._metrics, self._waiting = Workers(), Metrics(), 0

    def starlette(self) -> Starlette:
        """Return the application for an ASGI server."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            self._workers.close()

        routes = [
            Route("/", self._local(self.page)),
            Route("/predict", self._let_in(self.predict), methods=["POST"]),
            Route("/models", self._let_in(self.models)),
            Route("/healthz", self._local(self.healthz)),
            Route("/metrics", self._let_in(self.metrics)),
            Route("/openapi.json", self._local(self.openapi)),
        ]
        handlers: Any = {HTTPException: _told, Exception: _failed}
        app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
        app.router.redirect_slashes = False  # a client that follows no redirect would get an empty answer
        return app

    def _let_in(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that needs the token, if there is one."""

        async def checked(request: Request) -> Response:
            token = self._settings.token
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            is_right = scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), (token or "").encode())
            if token is not None and not is_right:
                told = "the token is missing or wrong: send it as 'Authorization: Bearer TOKEN'."
                raise HTTPException(401, told, {"WWW-Authenticate": "Bearer"})
            return await endpoint(request)

        return self._local(checked)

    def _local(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that pages of other sites cannot use, if the server is for this machine and has no token.

        A browser sends the site of the page as ``Origin``. A site whose name was changed to lead to this machine is
        known by its ``Host`` (DNS rebinding).
        """

        async def checked(request: Request) -> Response:
            host, origin = request.headers.get("host", ""), request.headers.get("origin")
            is_ours = is_loopback(re.sub(r":\d+$", "", host).strip("[]"))
            settings = self._settings
            if not (settings.token or settings.is_open or is_ours) and is_loopback(settings.host):
                raise HTTPException(403, f"{host!r} is not a name of this machine: use localhost or 127.0.0.1.")
            if origin is not None and origin.partition("://")[2] != host:
                raise HTTPException(403, "pages of other sites cannot use this server.")
            return await endpoint(request)

        return checked

    async def page(self, _: Request) -> Response:
        """Return the page."""
        policy = {"Content-Security-Policy": POLICY_SERVED, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(served(), headers=policy)

    async def healthz(self, _: Request) -> Response:
        """Return that the server runs."""
        return _json({"status": "ok"})

    async def models(self, _: Request) -> Response:
        """Return the models."""
        return _json([model.described() for model in self._models.values()])

    async def metrics(self, _: Request) -> Response:
        """Return the metrics as text."""
        return Response(self._metrics.text(), media_type=self._metrics.kind)

    async def openapi(self, _: Request) -> Response:
        """Return the description of the addresses."""
        return _json(described(self._settings))

    async def predict(self, request: Request) -> Response:
        """Classify the pictures in a request, and count it."""
        start = time.perf_counter()
        status = 500
        try:
            found = await self._predicted(request)
            status = found.status_code
            return found
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            self._metrics.note(status, time.perf_counter() - start)

    async def _predicted(self, request: Request) -> Response:
        if self._waiting >= self._settings.max_waiting + self._workers.count:
            raise HTTPException(503, "too many requests are waiting: try again in a second.", AGAIN)
        self._waiting += 1
        self._metrics.waiting(self._waiting)
        is_read = False
        try:
            async with asyncio.timeout(self._settings.timeout):
                model = self._model(request.query_params.get("model"))
                limits = self._settings.max_bytes, self._settings.max_pictures
                rows = await rows_in(request, model.first.columns, *limits)
                is_read = True
                heat = request.query_params.get("heat", "0")
                if others := {*request.query_params} - {"model", "heat"}:
                    raise HTTPException(400, f"{named(sorted(others))} cannot be set: expected model or heat.")
                if heat not in ("0", "1"):
                    raise HTTPException(400, f"heat is {heat!r}: expected 0 or 1.")
                answers = await _while_there(request, self._workers.answers(model, rows, heat == "1"))
        except TimeoutError:
            if is_read:
                raise HTTPException(503, "the answer took too long: try again later.", AGAIN) from None
            raise HTTPException(408, f"the request was not complete after {self._settings.timeout:g} s.") from None
        finally:
            self._waiting -= 1
            self._metrics.waiting(self._waiting)
        self._metrics.pictures(len(answers), sum("error" in one for one in answers))
        if len(answers) == 1 and "error" in answers[0]:
            is_text = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            hint = " (with curl: --data-binary @FILE; --data changes the bytes)" if is_text else ""
            raise HTTPException(422, answers[0]["error"] + hint)
        return _json(answers)

    def _model(self, name: str | None) -> Model:
        if name is None and len(self._models) == 1:
            return next(iter(self._models.values()))
        if name is None:
            raise HTTPException(
                400, f"several models are served: say which, as ?model={quote(next(iter(self._models)))}."
            )
        if name not in self._models:
            raise HTTPException(404, f"there is no model {name!r}: expected {named(self._models)}.")
        return self._models[name]


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON; characters that UTF-8 cannot hold are escaped."""
    return Response(as_json(value) + "\n", status, headers, "application/json")


async def _while_there(request: Request, answers: Coroutine[Any, Any, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what is awaited; if the client goes away, no further picture of the request is begun."""
    work, gone = asyncio.ensure_future(answers), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise HTTPException(400, "the client went away before it had the answer.")
        return work.result()
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.wait((work, gone))


async def _told(_: Request, error: HTTPException) -> Response:
    """Return an error as JSON. The connection ends, because the rest of the request may be on its way."""
    is_bare = error.detail == HTTPStatus(error.status_code).phrase
    told = PLAINER.get(error.status_code, error.detail) if is_bare else error.detail
    return _json({"error": told}, error.status_code, {"Connection": "close", **(error.headers or {})})


async def _failed(_: Request, __: Exception) -> Response:
    """Return that the server failed; its log has the reason."""
    return _json({"error": "the server failed: its log says why."}, 500, {"Connection": "close"})
