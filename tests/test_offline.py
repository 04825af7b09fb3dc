"""With every socket refused: no code that trains, exports or predicts asks for one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import PROJECT
from tests.command import POOL, Ran, ended
from tests.conftest import make_folder
from topwork.networks.weights import efficientnet_lite0

REFUSE = """
import os, socket, sys

def note(line):
    with open(os.environ["SOCKETS"], "a") as file:
        print(line, file=file)

def refuse(*arguments, **options):
    note(f"asked {arguments}")
    raise OSError("sockets are refused")

def connect(self, address, really=socket.socket.connect):
    return really(self, address) if self.family == getattr(socket, "AF_UNIX", None) else refuse(address)

socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
note(f"began {sys.orig_argv[1:3]}")
"""
COMMANDS = """
import sys
from topwork.system import keras_settings
from topwork.__main__ import run

keras_settings.own_process = True
for words in sys.argv[1].split("; "):
    status = run(words.split())
    if status:
        sys.exit(status)
"""


@pytest.fixture
def refused(tmp_path):
    """Return an environment in which processes are refused sockets and record each request in the file ``SOCKETS``."""
    (tmp_path / "refuse").mkdir()
    (tmp_path / "refuse" / "sitecustomize.py").write_text(REFUSE)
    paths = os.pathsep.join([str(tmp_path / "refuse"), *sys.path])
    return os.environ | {"PYTHONPATH": paths, "SOCKETS": str(tmp_path / "notes"), "TOPWORK_OFFLINE": ""}


@pytest.fixture
def commands(refused, tmp_path):
    """Return a function that runs commands in one process without sockets, and returns the recorded requests too."""

    def run(*several: str) -> tuple[Ran, list[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMANDS, "; ".join(several)],
            env=refused,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return ended(process, 120), (tmp_path / "notes").read_text().splitlines()

    return run


@pytest.mark.full
def test_train_export_and_predict_ask_for_no_socket(commands, tmp_path):
    pictures = make_folder(tmp_path / "colours", each=10, side=42)
    run, file = tmp_path / "run", tmp_path / "colours.onnx"
    ran, notes = commands(
        f"train {pictures} {' '.join(POOL)} --epochs 1 --out {run}",
        f"export {run} {file}",
        f"predict {file} {pictures}/red/000.png",
    )
    assert ran.status == 0, ran.err
    assert ran.out.startswith(f"{run}\n{file}\n{pictures}/red/000.png\t")
    assert {"began ['-m', 'topwork.store.engines.worker']", "began ['-m', 'topwork.scoring.drawing']"} < set(notes)
    assert [note for note in notes if not note.startswith("began ")] == []


def test_weights_that_cannot_be_fetched(commands, pictures):
    ran, notes = commands(f"extract {pictures} vgg16@pool")
    assert (ran.status, ran.out) == (3, "")
    assert any("storage.googleapis.com" in note for note in notes)
    models = Path(os.environ["KERAS_HOME"], "models")
    assert re.fullmatch(
        r"WeightsError: the ImageNet weights 'vgg16_weights_tf_dim_ordering_tf_kernels_notop\.h5' are not in "
        rf"'{models}', and could not be downloaded \(.*sockets are refused.*\)\. Put the file there "
        r"\(on a connected machine, 'topwork weights fetch vgg16' brings it\), choose a backbone whose file "
        r"is at hand \(topwork backbones\), or use random weights: --weights random\.",
        ran.err.splitlines()[-1],
    )
    assert list(models.glob("*")) == []


@pytest.mark.full
def test_the_demo_asks_for_no_socket_and_reads_digits(refused, tmp_path):
    """Once installed, ``make demo`` uses real weights and no network, and reads digits with few errors."""
    if not efficientnet_lite0.path().is_file():
        pytest.skip("the extra 'weights' is not installed")
    (tmp_path / "docs").mkdir()
    script = shutil.copy(PROJECT / "docs" / "demo.sh", tmp_path / "docs")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "topwork"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m topwork "$@"\n')
    command.chmod(0o755)
    ran = subprocess.run(["sh", script, command.parent], env=refused, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "demo" / "run" / "results.json").read_text())
    assert results["accuracy"]["value"] >= 0.97
    assert "demo/run/predictions.png" in ran.stdout
    notes = (tmp_path / "notes").read_text().splitlines()
    assert len(notes) >= 6
    assert [note for note in notes if not note.startswith("began ")] == []
