"""Whether a search keeps its time, also beside other work, and whether one that is killed ends as if it had not been.

Both search digits of 64 x 64 pixels with all networks at hand. Each command of the first starts from cold, in an empty
folder for its store.
"""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.process import initial_environment, run
from topwork.data.sample import digits
from topwork.networks.weights import official
from topwork.runs.search.tried import read
from topwork.system.messages import say

TOLERANCE = 0.1, 20.0
"""A search may exceed its time by this share, or by these seconds, whichever is more."""

BUSY = "while True: pass"


def limit(minutes: float) -> float:
    """Return how many seconds a search may take.

    >>> limit(1), limit(5)
    (80.0, 330.0)
    """
    return 60 * minutes + max(TOLERANCE[0] * 60 * minutes, TOLERANCE[1])


def in_time(seconds: Sequence[float], minutes: float) -> str:
    """Return how many searches ended in time.

    >>> in_time([60.0, 79.0, 81.0], 1.0)
    '2 of 3'
    """
    return f"{sum(each <= limit(minutes) for each in seconds)} of {len(seconds)}"


@dataclass(frozen=True)
class Timed:
    """One timed search: its stated time, how many busy processes ran beside it, and how long it took."""

    minutes: float
    beside: int
    seconds: float


def times(minutes: Sequence[float], rounds: int, scratch: Path) -> list[Timed]:
    """Time searches of each length, alone and beside two busy processes. All files are written below *scratch*."""
    data, found = digits(scratch / "digits"), []
    for _ in range(rounds):
        for each in minutes:
            for beside in (0, 2):
                out, home = scratch / "run", scratch / "home"
                command = [*_train(data), "--minutes", str(each), "--out", str(out), "--json"]
                with busy(beside):
                    ended = run(command, TOPWORK_HOME=str(home))
                found.append(Timed(each, beside, ended.seconds))
                say(f"{each:g} min beside {beside} busy processes: {ended.seconds:.0f} s")
                shutil.rmtree(out)
                shutil.rmtree(home)
    return found


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep processors busy with so many processes."""
    with ExitStack() as undo:
        for _ in range(count):
            process = undo.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            undo.callback(process.kill)
        yield


@dataclass(frozen=True)
class Killed:
    """A search that was killed and continued again and again, against the same search without interruptions.

    Args:
        tries: how many tries both have.
        kills: how often it was killed.
        differences: the names of the files in which they differ.
    """

    tries: int
    kills: int
    differences: list[str]


def killed(kills: int, scratch: Path, seed: int = 0) -> Killed:
    """Kill a search at random moments, continue it, and compare. All files are written below *scratch*.

    It has enough time for everything: what is tried then does not depend on the clock.

    Args:
        kills: how often it is killed, if it does not end before.
        seed: the seed of the moments.
    """
    data, moments = _few(digits(scratch / "digits"), scratch / "few"), random.Random(seed)
    name = official.DEFAULT
    words = ["--minutes", "60", "--cut", f"{name}@pool", "--cut", f"{name}@block6d_add"]
    whole, other = scratch / "whole", scratch / "killed"
    seconds = run([*_train(data), *words, "--out", str(whole)], TOPWORK_HOME=str(scratch / "home")).seconds
    say(f"without interruptions it takes {seconds:.0f} s")
    command, done = [*_train(data), *words, "--out", str(other)], 0
    while True:
        allowed = moments.uniform(1, 2 * seconds / kills) + STARTED if done < kills else None
        if _ended(command, allowed, scratch):
            break
        done += 1
        say(f"killed {done} of {kills} times")
        if other.is_dir():
            command = [sys.executable, "-m", "topwork", "train", "--resume", str(other)]
    return Killed(len(read(whole)), done, differing(whole, other))


STARTED = 6.0
"""The seconds after which a command that continues a search usually begins to train."""


def differing(one: Path, other: Path) -> list[str]:
    """Return the names of the files in which two searches differ. Only times may differ."""
    rows = [[replace(row, seconds=0.0) for row in read(run)] for run in (one, other)]
    found = [] if rows[0] == rows[1] else ["search.csv"]
    for name in ("recipe.toml", "predictions.csv", "weights/top.npz"):
        if (one / name).read_bytes() != (other / name).read_bytes():
            found.append(name)
    return found


def _ended(command: list[str], seconds: float | None, scratch: Path) -> bool:
    """Run a command and kill it with SIGKILL after some seconds; return whether it had ended by itself."""
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env=initial_environment() | {"TOPWORK_HOME": str(scratch / "home")}
    )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return True


def _train(data: Path) -> list[str]:
    return [sys.executable, "-m", "topwork", "train", str(data), "--size", "64"]


def _few(digits: Path, folder: Path, each: int = 12) -> Path:
    """Copy some pictures of each class."""
    for label in digits.iterdir():
        (folder / label.name).mkdir(parents=True)
        for path in sorted(label.iterdir())[:each]:
            shutil.copy(path, folder / label.name)
    return folder
