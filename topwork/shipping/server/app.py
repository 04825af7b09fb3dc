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
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from topwork.errors import TopworkError
from topwork.shipping.server.bodies import rows_in
from topwork.shipping.server.metrics import Metrics
from topwork.shipping.server.models import Model, Workers
from topwork.shipping.server.openapi import described
from topwork.shipping.server.page import POLICY, page
from topwork.shipping.server.settings import Settings
from topwork.system.messages import named

Endpoint = Callable[[Request], Awaitable[Response]]

AGAIN = {"Retry-After": "1"}


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
            Route("/", self.page),
            Route("/predict", self._let_in(self.predict), methods=["POST"]),
            Route("/models", self._let_in(self.models)),
            Route("/healthz", self.healthz),
            Route("/metrics", self._let_in(self.metrics)),
            Route("/openapi.json", self.openapi),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _told}, lifespan=lifespan)

    def _let_in(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that needs the token, if there is one."""

        async def checked(request: Request) -> Response:
            token = self._settings.token
            given = request.headers.get("authorization", "").encode()
            if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
                raise HTTPException(
                    401, "the token is missing or wrong: send it as 'Authorization: Bearer TOKEN'.",
                    {"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
            return await endpoint(request)

        return checked

    async def page(self, _: Request) -> Response:
        """Return the page."""
        policy = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(page(), headers=policy)

    async def healthz(self, _: Request) -> Response:
        """Return that the server runs."""
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        """Return the models."""
        return JSONResponse([model.described() for model in self._models.values()])

    async def metrics(self, _: Request) -> Response:
        """Return the metrics as text."""
        return Response(self._metrics.text(), media_type=self._metrics.kind)

    async def openapi(self, _: Request) -> Response:
        """Return the description of the addresses."""
        return JSONResponse(described(self._settings))

    async def predict(self, request: Request) -> Response:
        """Classify the pictures in a request, and count it."""
        start = time.perf_counter()
        status = 499  # the client went away
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
                heat = request.query_params.get("heat", "0") in ("1", "true")
                answers = await self._workers.answers(model, rows, heat)
        except TimeoutError:
            if is_read:
                raise HTTPException(503, "the answer took too long: try again later.", AGAIN) from None
            raise HTTPException(408, f"the request was not complete after {self._settings.timeout:g} s.") from None
        except TopworkError as error:
            raise HTTPException(400, str(error)) from None
        finally:
            self._waiting -= 1
            self._metrics.waiting(self._waiting)
        self._metrics.pictures(len(answers), sum("error" in one for one in answers))
        if len(answers) == 1 and "error" in answers[0]:
            raise HTTPException(422, answers[0]["error"])
        return JSONResponse(answers)

    def _model(self, name: str | None) -> Model:
        if name is None and len(self._models) == 1:
            return next(iter(self._models.values()))
        if name is None:
            raise HTTPException(400, f"several models are served: say which, as ?model={next(iter(self._models))}.")
        if name not in self._models:
            raise HTTPException(404, f"there is no model {name!r}: expected {named(self._models)}.")
        return self._models[name]


async def _told(_: Request, error: Exception) -> Response:
    """Return an error as JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
