"""Run a command from cold, and measure its wall time and its memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from topwork.system import keras_backend

_ONEDNN = os.environ.get(keras_backend.ONEDNN)

INTERVAL = 0.5
"""The seconds between two measurements of the memory of all processes together."""


class CommandError(RuntimeError):
    """A command ended with an error. The message has the end of its stderr."""


@dataclass(frozen=True)
class Finished:
    """The time, memory and output of a command that has ended.

    Args:
        seconds: the time from its start to its end.
        largest: the peak resident memory of the largest process of its tree, in bytes (``ru_maxrss`` from ``wait4``).
        together: the largest sum of the resident memory of all processes of its tree, in bytes. It is sampled; a shared
            page counts once for each process. ``None`` if ``/proc`` has no such figures,
            or the command ended before the first sample.
        anonymous: as *together*, but without pages of files, which the system can free when it needs memory.
        output: its stdout.
    """

    seconds: float
    largest: int
    together: int | None
    anonymous: int | None
    output: str


def run(command: Sequence[str], statuses: Sequence[int] = (0,), **environment: str) -> Finished:
    """Run a command to its end, with the environment that this process was started with, plus *environment*.

    Raises:
        CommandError: the exit status of the command is not one of *statuses*.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=initial_environment() | environment
        )
        with _Together(process.pid) as together:
            usage = _wait(process)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        if process.returncode not in statuses:
            end = err.read()[-3000:]
            raise CommandError(f"{' '.join(command)} ended with status {process.returncode}:\n{end}")
        largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Finished(seconds, largest, together.peak, together.anonymous, out.read())


def topwork(home: Path, *words: object) -> Finished:
    """Run ``topwork`` with its store and trunks in *home*."""
    return run([sys.executable, "-m", "topwork", *map(str, words)], TOPWORK_HOME=str(home))


def _wait(process: subprocess.Popen) -> "os.struct_rusage":  # type: ignore[name-defined]
    """Wait for a process, and return its resource usage, including the child processes that it has waited for."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def initial_environment() -> dict[str, str]:
    """Return the environment that this process was started with.

    topwork switches oneDNN on in its own process. This is undone here, so that a script runs as without topwork.
    """
    found = {name: value for name, value in os.environ.items() if name != keras_backend.ONEDNN}
    return found if _ONEDNN is None else found | {keras_backend.ONEDNN: _ONEDNN}


class _Together(Thread):
    """Watch the resident memory of a process and all its descendants until the end of the ``with`` block."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._left = pid, Event()
        self.peak: int | None = None
        self.anonymous: int | None = None

    def __enter__(self) -> "_Together":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self.join()

    def run(self) -> None:
        """Measure the memory every `INTERVAL` seconds, and keep the largest values."""
        while not self._left.wait(INTERVAL) and Path("/proc/self/stat").exists():
            resident, files = _resident(self._pid)
            self.peak = max(self.peak or 0, resident) or None
            self.anonymous = max(self.anonymous or 0, resident - files) or None


def _resident(root: int) -> tuple[int, int]:
    """Return the resident bytes of a process and all its descendants, and how many of these are pages of files."""
    above, pages, files, tree = {}, {}, {}, {root}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # the process has ended meanwhile
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                above[int(entry.name)], pages[int(entry.name)] = int(words[1]), int(words[21])
                files[int(entry.name)] = int((entry / "statm").read_text().split()[2])
    while found := {pid for pid, parent in above.items() if parent in tree} - tree:
        tree |= found
    size = os.sysconf("SC_PAGE_SIZE")
    return sum(pages.get(pid, 0) for pid in tree) * size, sum(files.get(pid, 0) for pid in tree) * size
