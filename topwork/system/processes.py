"""A second Python process that answers requests: one JSON value per line, both ways.

`Beside` starts ``python -m MODULE``; that module, run as a program, calls `serve`. The answer to each
request is any number of reports, then either a result or an error. An error of topwork's is raised again in this
process. Ctrl-C reaches only this process. The other process ends when this process ends it, and when this process
itself ends, even if it is killed.
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
"""A function that is called with each report on a request, before the result is returned."""


class Ended(Exception):
    """A process ended before it answered; ``status`` is its exit status, or minus the signal that ended it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended with status {status}")
        self.status = status


class Beside(AbstractContextManager["Beside", None]):
    """A module that runs in another process; a context manager that ends it.

    Args:
        module: the name of the module; run as a program, it calls `serve`.
        settings: environment variables for the other process, in addition to this process's variables or in place of
            them.
        quiet: whether the other process's output to stderr is dropped; otherwise it goes to this process's stderr.

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
        """Send a request, which is a JSON value; several requests are answered in the order in which they were sent."""
        assert self.process.stdin
        with suppress(OSError):  # the process has ended; `answer` raises `Ended`
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self, report: Report = lambda _: None) -> Any:
        """Wait for the result of the oldest request that is not answered yet, and return it.

        Args:
            report: called with each report on that request.

        Raises:
            TopworkError: the error that was raised in the other process.
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
        """End the process if it still runs; return its exit status. No other thread may be waiting for an answer."""
        self.process.kill()
        self.process.communicate()  # closes the pipes
        return self.process.returncode


def serve(work: Callable[[Any, Report], Any]) -> NoReturn:
    """Answer the requests of the process that started this process, until one of the two ends.

    Args:
        work: called with a request and with a function that sends a report on it; returns the result. If it raises a
            `TopworkError`, an `OSError` or a `MemoryError`, the error is sent; any other exception ends this process.
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
    """Read requests while `work` runs, so that this process ends as soon as the process that sends them has ended."""
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
