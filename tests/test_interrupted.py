"""After a command is stopped, committed data stays, no process is left over, and the next run continues."""

import io
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from tests.command import POOL, ended, start, topwork

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc to see processes in")

COUNT = 32
NAME = "mobilenet_v2_035"
SIDE = "848"
CUT = (f"{NAME}@input", "--weights", "random", "--size", SIDE)
"""Pixels of 848 x 848 take two megabytes, so a commit is due after 16 pictures."""
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
STOPPED = "Stopped. What was committed to the store stays; the next run continues there."


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Path:
    """Write 32 slow-decoding pictures: large, but small as files; only the bytes after the image's end differ."""
    folder = tmp_path_factory.mktemp("slow")
    file = io.BytesIO()
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (1600, 6))).convert("RGB").save(file, "PNG")
    for i in range(COUNT):
        path = folder / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.getvalue() + bytes([i]))
    return folder


@pytest.fixture
def cold(home, own_home) -> Path:
    """Set an empty TOPWORK_HOME with only the backbone's graph, so that the cut at the pixels needs no Keras."""
    graphs = home / "topwork" / "graphs"
    own_home.mkdir()
    (own_home / "graphs").symlink_to(graphs)
    graphs.mkdir(parents=True, exist_ok=True)
    assert topwork("backbones", NAME, "--size", SIDE).status == 0
    return own_home


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def children(process: subprocess.Popen) -> list[int]:
    """Return the ids of a process's children."""
    lists = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]


def gone(ids: list[int]) -> bool:
    """Return whether all these processes have ended."""
    return not any(_runs(Path(f"/proc/{i}/status")) for i in ids)


def _runs(status: Path) -> bool:
    try:
        return "\nState:\tZ" not in status.read_text()
    except OSError:  # the process is gone
        return False


def stored(home: Path) -> int:
    """Return the number of rows committed to the one store; 0 while a process makes it."""
    import lmdb

    large = {"map_size": 2**30}  # the store may grow while it is read here
    for folder in home.glob("store/*"):
        if (folder / "data.mdb").exists():
            with (
                suppress(lmdb.Error),
                lmdb.open(str(folder), max_dbs=4, readonly=True, lock=False, **large) as env,
                env.begin() as txn,
            ):
                found = txn.get(b"rows")
                rows = env.open_db(b"rows", txn=txn, create=False) if found else None
                return txn.stat(rows)["entries"] if rows else 0
    return 0


def extracting(slow: Path, cold: Path) -> tuple[subprocess.Popen, list[int]]:
    """Start an extraction; return it when it has committed some pictures but not all, with its children's ids."""
    process = start("extract", slow, *CUT, "--jobs", 1)
    wait_for(lambda: stored(cold) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    found = children(process)
    assert found
    return process, found


def goes_on(slow: Path, cold: Path) -> None:
    """Check that the next run computes only what is missing."""
    before = stored(cold)
    assert 0 < before < COUNT
    ran = topwork("extract", slow, *CUT)
    assert ran.status == 0
    assert ran.err.startswith(f"{CUT[0]}: {COUNT - before} of {COUNT} pictures to compute, ")
    assert stored(cold) == COUNT
    assert topwork("extract", slow, *CUT).err == ""


@pytest.mark.parametrize("to_group", [True, pytest.param(False, marks=pytest.mark.full)])
def test_ctrl_c_while_extracting(slow, cold, to_group):
    process, workers = extracting(slow, cold)
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    ran = ended(process, 10)
    assert (ran.status, ran.out) == (130, "")
    assert ran.err.splitlines()[-1] == STOPPED
    assert gone(workers)
    goes_on(slow, cold)


def test_kill_9_while_extracting(slow, cold):
    process, workers = extracting(slow, cold)
    process.kill()
    process.wait()
    wait_for(lambda: gone(workers), 5)
    goes_on(slow, cold)


def test_kill_9_of_the_worker(slow, cold):
    process, workers = extracting(slow, cold)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    ran = ended(process, 10)
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.splitlines()[-1] == (
        "MachineError: the extraction process ended with status -9 before it was done. "
        "What it committed is safe: run the same command again to continue. "
        "If it ends so again, it lacks memory: use a smaller size of pictures, or a smaller network."
    )
    goes_on(slow, cold)


def test_a_full_disk_while_extracting(slow, cold):
    limit = 45_000_000
    process = start("extract", slow, *CUT, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    ran = ended(process)
    assert (ran.status, ran.out) == (3, "")
    assert re.fullmatch(
        rf"StoreError: cannot write to the store {cold}/store/pixels-\w+: (File too large|Input/output error), "
        rf"\S+ .B free\. The {stored(cold)} rows stored before are safe\. Free some space, or set TOPWORK_HOME "
        r"to a folder on a larger disk; the next run continues from there\.",
        ran.err.splitlines()[-1],
    )
    goes_on(slow, cold)


@pytest.mark.full
def test_ctrl_c_while_training_on_a_terminal(pictures, tmp_path):
    words = ("train", pictures, *POOL, "--set", "phase.1.patience=0")
    master, terminal = os.openpty()
    shown: list[bytes] = []
    reader = Thread(target=lambda: shown.extend(iter(lambda: _read(master), b"")))
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    process = start(*words, "--epochs", 100_000, "--out", tmp_path / "run", stderr=terminal, env=environment)
    os.close(terminal)
    reader.start()
    journal = tmp_path / "run" / "journal.jsonl"
    wait_for(lambda: (journal.exists() and journal.read_text().count("\n") > 3) or process.poll() is not None)
    others = children(process)
    assert others
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=10)[0] == ""
    reader.join(10)
    text = b"".join(shown).decode()
    assert (process.returncode, text.splitlines()[-1].endswith(STOPPED)) == (130, True)
    assert text.count(HIDE_CURSOR) == text.count(SHOW_CURSOR) > 0
    assert "Traceback" not in text
    assert gone(others)
    ran = topwork(*words, "--epochs", 1, "--out", tmp_path / "next")
    assert (ran.status, ran.out) == (0, f"{tmp_path}/next\n")
    assert "to compute" not in ran.err


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # the other end is closed
        return b""
