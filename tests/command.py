"""Runs the command line as a user does: in this process if the result is the same there, otherwise in a new one."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from topwork.__main__ import run

SMALL = ("--weights", "random", "--size", "32")
"""Options for a backbone that needs no file and little time."""
POOL = ("--cut", "mobilenet_v2_035@pool", *SMALL)


@dataclass(frozen=True)
class Ran:
    """Holds the exit status and the output of one command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON object on stdout."""
        assert self.status == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)


def topwork(*words: object) -> Ran:
    """Run a command in this process, because importing TensorFlow takes 3 s each time."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run([str(word) for word in words])
    return Ran(status, out.getvalue(), err.getvalue())


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Start a command as a process that leads its own group, as a shell does."""
    command = [sys.executable, "-m", "topwork", *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, text=True, process_group=0, **options)


def ended(process: subprocess.Popen[str], seconds: float = 60) -> Ran:
    """Wait for a process and return its result; a traceback is always a failure."""
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err, err
    return Ran(process.returncode, out, err)


def in_a_new_process(*words: object, **environment: str) -> Ran:
    """Run a command in a new process."""
    return ended(start(*words, env=os.environ | environment))
