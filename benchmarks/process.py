"""Running a command from cold: its wall time by our clock, its memory, its output."""

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
"""Seconds between two looks at the memory of all processes together."""


class CommandError(RuntimeError):
    """A command ended with an error; the message holds the end of what it said."""


@dataclass(frozen=True)
class Finished:
    """What a command took and said.

    Args:
        seconds: from its start to its end.
        largest: bytes, the peak resident memory of the largest process of its tree (``ru_maxrss`` from ``wait4``).
        together: bytes, the largest sum over the processes of its tree, sampled; shared pages count for each.
            ``None`` where ``/proc`` does not tell.
        anonymous: bytes, the same without pages of files, which the system takes back when it needs them.
        output: stdout.
    """

    seconds: float
    largest: int
    together: int | None
    anonymous: int | None
    output: str


def run(command: Sequence[str], **environment: str) -> Finished:
    """Run a command to its end, in the environment that this process began with and *environment*.

    Raises:
        CommandError: its exit status is not 0.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_found() | environment
        )
        with _Together(process.pid) as together:
            usage = _wait(process)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        if process.returncode:
            end = err.read()[-3000:]
            raise CommandError(f"{' '.join(command)} ended with status {process.returncode}:\n{end}")
        largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Finished(seconds, largest, together.peak, together.anonymous, out.read())


def _wait(process: subprocess.Popen) -> "os.struct_rusage":  # type: ignore[name-defined]
    """Wait; the usage is that of the process and of all below it that it waited for."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _found() -> dict[str, str]:
    """Without the oneDNN that topwork switches on in its own process: a script is to run as it comes."""
    found = {name: value for name, value in os.environ.items() if name != keras_backend.ONEDNN}
    return found if _ONEDNN is None else found | {keras_backend.ONEDNN: _ONEDNN}


class _Together(Thread):
    """Watches the resident memory of a process and all below it until left."""

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
        """Look again and again."""
        while not self._left.wait(INTERVAL) and Path("/proc/self/stat").exists():
            resident, files = _resident(self._pid)
            self.peak = max(self.peak or 0, resident) or None
            self.anonymous = max(self.anonymous or 0, resident - files) or None


def _resident(root: int) -> tuple[int, int]:
    """Bytes of a process and all below it, and how many of them are pages of files."""
    above, pages, files, tree = {}, {}, {}, {root}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # gone meanwhile
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                above[int(entry.name)], pages[int(entry.name)] = int(words[1]), int(words[21])
                files[int(entry.name)] = int((entry / "statm").read_text().split()[2])
    while found := {pid for pid, parent in above.items() if parent in tree} - tree:
        tree |= found
    size = os.sysconf("SC_PAGE_SIZE")
    return sum(pages.get(pid, 0) for pid in tree) * size, sum(files.get(pid, 0) for pid in tree) * size
