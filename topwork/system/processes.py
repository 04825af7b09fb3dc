"""A second Python process that answers requests: one JSON value per line, both ways.

This process starts ``python -m MODULE`` as `Beside`; there, the module's main function calls `serve`. Each request is
answered with any number of reports and then a result, or with an error of topwork's, which is raised again here.
Ctrl-C reaches only this process. The other process ends when this one ends it, or ends in any way.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

from topwork import errors
from topwork.errors import TopworkError, of_machine

Report = Callable[[Any], object]
"""Called with each report on a request, before its result."""


class Ended(Exception):
    """A process ended before it answered; ``status``: its exit status, or minus the signal that ended it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended with status {status}")
        self.status = status


class Beside(AbstractContextManager["Beside", None]):
    """A module that runs in another process; a context manager that ends it.

    Args:
        module: its name; its main function calls `serve`.
        settings: environment variables that are added to those of this process, or replace them.
        quiet: whether its output to stderr is dropped; else it goes to the stderr of this process.

    Example:
        >>> with Beside("topwork.store.upkeep.checker") as checker:  # doctest: +SKIP
        ...     checker.ask("store/x-0123456789abcdef")
        ...     checker.answer(print)
        [4096, 5000]
        [5000, 5000]
    """

    def __init__(self, module: str, settings: Mapping[str, str] | None = None, quiet: bool = False) -> None:
        import subprocess  # not needed in the other process

        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env={**os.environ, **(settings or {})},
            process_group=0,
        )

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, request: Any) -> None:
        """Send a request, a JSON value; several are answered in their order."""
        assert self.process.stdin
        with suppress(OSError):  # it has ended, which `answer` raises
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self, report: Report = lambda _: None) -> Any:
        """Wait for the result of the first request that has none yet.

        Args:
            report: called with each report on it.

        Raises:
            TopworkError: the error that was raised there.
            Ended: the process ended before it answered.
        """
        assert self.process.stdout
        for line in self.process.stdout:
            kind, value = json.loads(line)
            if kind == "result":
                return value
            if kind == "error":
                name, message, about = value
                error: TopworkError = getattr(errors, name)(message)
                vars(error).update(about)
                raise error
            report(value)
        raise Ended(self.process.wait())

    def end(self) -> int:
        """End the process if it still runs; returns its exit status. No other thread may wait for an answer."""
        self.process.kill()
        self.process.communicate()  # closes the pipes
        return self.process.returncode


def serve(work: Callable[[Any, Report], Any]) -> NoReturn:
    """Answer the requests of the process that started this one, until either ends.

    Args:
        work: called with a request and a function that reports on it; returns the result. Exceptions other than
            errors of topwork's or of the machine end the process.
    """
    requests: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            kind, answer = "result", work(request, lambda value: _send("report", value))
        except (TopworkError, OSError, MemoryError) as caught:
            error = caught if isinstance(caught, TopworkError) else of_machine(caught)
            kind, answer = "error", (type(error).__name__, str(error), vars(error))
        _send(kind, answer)


def _receive(requests: "SimpleQueue[bytes]") -> None:
    """Read requests while others are worked on, so that this process ends at once with the one that sends them."""
    with open(0, "rb", closefd=False) as lines:
        for line in lines:
            requests.put(line)
    os._exit(130)


def _send(kind: str, value: Any) -> None:
    try:
        sys.stdout.buffer.write(json.dumps([kind, value]).encode() + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(130)
