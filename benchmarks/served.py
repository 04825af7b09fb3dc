"""How many pictures ``topwork serve`` answers in a second, against the same work without HTTP on the same cores."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.draw import draw
from benchmarks.machine import measured_on
from benchmarks.process import initial_environment, run, topwork
from benchmarks.report import table
from benchmarks.stats import Spread
from topwork.shipping.predictor import Predictor
from topwork.system.machine import jobs
from topwork.system.messages import say, size


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        pictures: how many are drawn.
        cuts: of the networks that are served.
        weights: ``"imagenet"`` or ``"random"``.
        clients: that ask at once, on the same machine.
        seconds: of a measurement.
        rounds: how often the bound and the server are measured, in turn.
    """

    data: Path | None = None
    pictures: int = 500
    cuts: Sequence[str] = ("efficientnet_lite0@pool", "mobilenet_v2_035@pool")
    weights: str = "random"
    clients: int = 16
    seconds: float = 10.0
    rounds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, cuts=["mobilenet_025@pool"], seconds=1.0, rounds=1)


@dataclass(frozen=True)
class Served:
    """What was measured of one network.

    Args:
        cut: of the network.
        bounds: pictures a second that threads decode and classify without HTTP, one thread per core.
        rounds: what the clients measured (`benchmarks.clients`).
        memory: resident memory of the server after the first and after the last round, in bytes.
    """

    cut: str
    bounds: list[float]
    rounds: list[dict[str, Any]]
    memory: tuple[int, int]


def measure(plan: Plan, scratch: Path) -> list[Served]:
    """Measure. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    return [_measured(plan, cut, folder, scratch) for cut in plan.cuts]


def _measured(plan: Plan, cut: str, folder: Path, scratch: Path) -> Served:
    place, file = scratch / cut.partition("@")[0], scratch / f"{cut.partition('@')[0]}.onnx"
    topwork(scratch / "home", "train", folder, "--cut", cut, "--weights", plan.weights, "--out", place)
    topwork(scratch / "home", "export", place, file)
    pictures = [path.read_bytes() for path in sorted(folder.glob("*/*"))]
    bounds, rounds, memory = [], [], []
    with _server(file) as (process, port):
        _asked(port, plan.clients, 1.0, folder)
        for number in range(plan.rounds):
            bounds.append(_bound(file, pictures, plan.seconds))
            rounds.append(_asked(port, plan.clients, plan.seconds, folder))
            memory.append(_resident(process.pid))
            say(f"{cut}, round {number + 1}: {rounds[-1]['rate']:.0f} of {bounds[-1]:.0f} pictures a second")
    return Served(cut, bounds, rounds, (memory[0], memory[-1]))


@contextmanager
def _server(file: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server, and yield its process and port."""
    command = [sys.executable, "-m", "topwork", "serve", str(file), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=initial_environment())
    assert process.stderr
    line = process.stderr.readline()
    found = re.search(r":(\d+) ", line)
    if not found:
        raise RuntimeError(f"the server did not start: {line}{process.stderr.read()}")
    try:
        yield process, int(found.group(1))
    finally:
        process.terminate()
        process.wait(60)


def _bound(file: Path, pictures: Sequence[bytes], seconds: float) -> float:
    """Return how many pictures a second are decoded and classified in one thread per core, without HTTP."""
    predictor = Predictor(file, threads=1)
    until = time.perf_counter() + seconds

    def work(start: int) -> int:
        number = start
        while time.perf_counter() < until:
            predictor.guess(predictor.answer(pictures[number % len(pictures)], "picture"))
            number += 1
        return number - start

    start = time.perf_counter()
    with ThreadPoolExecutor(jobs()) as pool:
        done = sum(pool.map(work, range(0, 31 * jobs(), 31)))
    return done / (time.perf_counter() - start)


def _asked(port: int, clients: int, seconds: float, folder: Path) -> dict[str, Any]:
    words = [str(port), str(clients), str(seconds), str(folder)]
    found: dict[str, Any] = json.loads(run([sys.executable, "-m", "benchmarks.clients", *words]).output)
    return found


def _resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes; 0 if ``/proc`` has no such figure."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0


def served_table(plan: Plan, found: Sequence[Served], command: str) -> str:
    """Return the table."""
    rows = []
    for one in found:
        shares = Spread.of([each["rate"] / bound for each, bound in zip(one.rounds, one.bounds)])
        rates, p99 = (Spread.of([each[name] for each in one.rounds]) for name in ("rate", "p99"))
        allowed = 3 * plan.clients / rates.median
        rows.append(
            [
                f"`{one.cut}`",
                f"{Spread.of(one.bounds):.0f}",
                f"{rates:.0f}",
                f"{shares:.2f}",
                f"{1000 * p99.median:.0f} ms (of {1000 * allowed:.0f})",
                f"{sum(each['requests'] for each in one.rounds):,}",
                str(sum(each["failures"] for each in one.rounds)),
                f"{size(one.memory[0])}, {size(one.memory[1])}",
            ]
        )
    about = (
        f"{plan.clients} clients on the same cores; bound: the same work in one thread per core without HTTP, measured "
        "in turn with the server. p99: of a request, and three times the mean time that the rate allows."
    )
    heads = ("network", "bound", "served a second", "share", "p99", "requests", "failures", "memory: first, last round")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(heads, rows)])
