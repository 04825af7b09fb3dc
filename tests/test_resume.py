"""Law 4: a run that is killed at any moment and resumed ends, bit for bit, like a run that was never killed."""

import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.command import ended, start
from topwork.runs.checkpoints import Checkpoints
from topwork.runs.folder import Folder

NAME = "mobilenet_v2_035"
SEED = random.SystemRandom().randrange(10**6)

RECIPE = """
[data]
draw = "stratified"
split = [0.6, 0.2, 0.2]
[backbones.mobilenet_v2_035]
weights = "random"
size = 32
[views]
count = 3
[head]
kind = "mlp"
units = [32]
[[phase]]
cut = "mobilenet_v2_035@pool"
epochs = 12
patience = 0
schedule = "cosine"
warmup_epochs = 1.5
batch_size = 8
[[phase]]
cut = "mobilenet_v2_035@block_14_add"
epochs = 8
learning_rate = 1e-3
optimizer = "sgd"
momentum = 0.9
batch_size = 8
batch_norm = "train"
schedule = "plateau"
patience = 6
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "two.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def whole(pictures, recipe, tmp_path_factory):
    """Return a run that was never interrupted, trained in its own process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    ran = ended(start("train", pictures, "--recipe", recipe, "--out", out), 300)
    assert ran.status == 0, ran.err
    return Folder(out)


def timeless(journal):
    return [replace(line, seconds=0) for line in journal]


def same(run: Path, folder: Folder) -> None:
    """Check that two runs are the same, bit for bit."""
    found = Folder(run)
    assert timeless(found.journal.epochs()) == timeless(folder.journal.epochs())
    had, have = folder.weights(), found.weights()
    assert had.keys() == have.keys()
    for name, arrays in had.items():
        for a, b in zip(arrays, have[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    last, other = (Checkpoints(one.path / "checkpoints").read() for one in (folder, found))
    assert last and other and last.about == other.about
    for name, array in last.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)
    assert found.results.test == folder.results.test


def kill(process, out: Path, lines: int, seconds: float) -> bool:
    """Kill a process some time after its journal has *lines* lines; return whether it was still running."""
    journal = out / "journal.jsonl"
    while process.poll() is None and lines and not (journal.exists() and journal.read_text().count("\n") >= lines):
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def killed_and_resumed(pictures, recipe, whole, out: Path, kills: int, seed: int) -> int:
    """Kill a run, its resumption, and so on; return how many of the kills came before the run had ended."""
    draw, done, lines = random.Random(seed), 0, len(whole.journal.epochs())
    process = start("train", pictures, "--recipe", recipe, "--out", out)
    for _ in range(kills):
        after = draw.randrange(lines)  # before the first line it imports and extracts; after the last it measures
        done += kill(process, out, after, draw.uniform(0, 0.3 if after else 3))
        words = ("train", "--resume", out) if out.exists() else ("train", pictures, "--recipe", recipe, "--out", out)
        process = start(*words)
    ran = ended(process, 300)
    assert ran.status == 0, ran.err
    same(out, whole)
    return done


@pytest.mark.full
def test_killed_at_random_moments(pictures, recipe, whole, tmp_path):
    print("seed", SEED)
    assert killed_and_resumed(pictures, recipe, whole, tmp_path / "run", 3, SEED)


@pytest.mark.full
@pytest.mark.parametrize("fifth", range(5))
def test_killed_at_fifty_random_moments(pictures, recipe, whole, tmp_path, fifth):
    """Each case kills ten times, so that several processes can share the fifty."""
    seed = SEED + 100 * fifth
    print("seed", seed)
    done = number = 0
    while done < 10:
        done += killed_and_resumed(pictures, recipe, whole, tmp_path / str(number), 5, seed + number)
        number += 1
