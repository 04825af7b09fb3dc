"""Run a server until it is stopped."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from topwork.errors import UsageError
from topwork.shipping.server.app import App
from topwork.shipping.server.models import opened
from topwork.shipping.server.settings import Settings
from topwork.system.messages import say

HEAD = 65536
"""The largest head of a request, in bytes."""

SOON = 0.05
"""The seconds between the end of the time for a head and the closing of the connection.

If the loop was busy, the head may have come in time and is read now.
"""


def serve(files: Sequence[Path], settings: Settings) -> None:
    """Serve exported files until the process gets SIGTERM or Ctrl-C; what is running then is finished.

    Args:
        files: exported files, or runs.
        settings: of the server.

    Raises:
        UsageError: two files have the same name, or the port cannot be used.
        ExportError, MissingExtra: a file cannot be opened.
    """
    models = opened(files, settings.max_pixels / 1e6)
    app = _patient(App(models, settings).starlette())
    listening = _listening(settings)
    host, port = listening.getsockname()[:2]
    host = socket.gethostname() if host in ("0.0.0.0", "::") else host  # an address that others can type
    address = f"[{host}]" if ":" in host else host
    say(f"Serving {', '.join(models)} on http://{address}:{port} (page, /predict, /models). Ctrl-C stops it.")
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=int(settings.timeout) + 1,
        timeout_keep_alive=int(settings.timeout) + 1,
    )
    config.load()
    config.http_protocol_class = _impatient(config.http_protocol_class, settings.timeout)
    try:
        uvicorn.Server(config).run(sockets=[listening])  # it raises a signal again when it has finished
    finally:
        listening.close()


def _patient(app: ASGIApp) -> ASGIApp:
    """Return an application that does not mind if the client has closed the connection: uvloop would raise an error."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            try:
                await send(message)
            except RuntimeError as error:
                if "handler is closed" not in str(error):
                    raise

        await app(scope, receive, sent)

    return asked


def _impatient(protocol: Any, seconds: float) -> Any:
    """Return a protocol of uvicorn that closes a connection if the head of a request is not whole in time, or too long.

    It also closes a connection on which bytes come that belong to no request, and then nothing. The limits are
    uvicorn's own only for h11, and not for httptools.
    """

    class Impatient(protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def _wait(self) -> None:
            self._head, self._late = 0, self.loop.call_later(seconds, self._close_soon)

        def _close_soon(self) -> None:
            self._late = self.loop.call_later(SOON, self.transport.close)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._done()
            self._wait()

        def on_headers_complete(self) -> None:
            self._done()
            super().on_headers_complete()

        def _done(self) -> None:
            if self._late is not None:
                self._late.cancel()
            self._late = None

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._head += len(data)
            if self._late is not None and self._head > HEAD:
                self.transport.close()
            # bytes outside a request: uvicorn has stopped its own timer for a connection at rest
            if self._late is None and (self.cycle is None or self.cycle.response_complete):
                self._wait()

        def connection_lost(self, error: Exception | None) -> None:
            self._done()
            super().connection_lost(error)

    return Impatient if hasattr(protocol, "on_message_begin") else protocol


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)  # without the address again
        raise UsageError(
            f"cannot listen on {settings.host}, port {settings.port} ({why}). Choose another with --port or --host."
        ) from None
