"""With every socket refused: nothing that trains, exports or predicts asks for one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .command import POOL, Ran, ended
from .conftest import make_folder

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
from topwork import lean
from topwork.__main__ import run

lean.own_process = True
for words in sys.argv[1].split("; "):
    status = run(words.split())
    if status:
        sys.exit(status)
"""


@pytest.fixture
def commands(tmp_path):
    """Runs commands, one after another in one process, where sockets are refused; gives also what was noted."""
    (tmp_path / "refuse").mkdir()
    (tmp_path / "refuse" / "sitecustomize.py").write_text(REFUSE)
    paths = [str(tmp_path / "refuse"), *sys.path]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "SOCKETS": str(tmp_path / "notes"), "TOPWORK_OFFLINE": ""}

    def run(*several: str) -> tuple[Ran, list[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMANDS, "; ".join(several)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return ended(process, 120), (tmp_path / "notes").read_text().splitlines()

    return run


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
    assert {"began ['-m', 'topwork.worker']", "began ['-m', 'topwork.draw']"} < set(notes)
    assert [note for note in notes if not note.startswith("began ")] == []


def test_weights_that_cannot_be_fetched(commands, pictures):
    ran, notes = commands(f"extract {pictures} vgg16@pool")
    assert (ran.status, ran.out) == (3, "")
    assert any("storage.googleapis.com" in note for note in notes)
    models = Path(os.environ["KERAS_HOME"], "models")
    assert re.fullmatch(
        r"WeightsError: the ImageNet weights 'vgg16_weights_tf_dim_ordering_tf_kernels_notop\.h5' are not in "
        rf"'{models}', and could not be fetched \(.*sockets are refused.*\)\. Put the file there "
        r"\(on a connected machine, 'topwork weights fetch' brings it\), choose a backbone whose file "
        r"is at hand \(topwork backbones\), or try without: --weights random\.",
        ran.err.splitlines()[-1],
    )
    assert list(models.glob("*")) == []
