"""Torch checkpoints are read without torch, and nothing in them runs."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import checkpoint
from topwork.networks.weights.torch_checkpoint import read


def test_tensors_are_read_as_they_were_written(tmp_path):
    kernel = np.arange(24, dtype="float32").reshape(2, 3, 4).transpose(2, 0, 1)  # not stored row by row
    arrays = {"a.weight": kernel, "b.count": np.array(7, "int64"), "c.bias": np.array([0.5, -2], "float32")}
    found = read(checkpoint.write(tmp_path / "some.pth", arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


class Hostile:
    """An object whose pickle runs a command in any program that trusts pickles."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("part", range(4))
def test_a_hostile_file_runs_nothing(part, tmp_path):
    """The command may be in any of the four pickles."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}]
    parts[part] = {"x": Hostile(tmp_path / "ran")}
    file = tmp_path / "hostile.pth"
    file.write_bytes(b"".join(pickle.dumps(one, 2) for one in parts))
    with pytest.raises(ValueError, match=r"names (posix|nt|os)\.system, which tensors of float32"):
        read(file)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(parts[part], 2))
    assert (tmp_path / "ran").exists(), "the pickle is not hostile"


@pytest.mark.parametrize("name", ["builtins eval", "torch.storage _load_from_bytes", "numpy ndarray", "torch Tensor"])
def test_only_what_tensors_need_may_be_named(name, tmp_path):
    (tmp_path / "some.pth").write_bytes(b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n.")
    with pytest.raises(ValueError, match=f"names {name.replace(' ', '.')}, which tensors of float32"):
        read(tmp_path / "some.pth")


def test_storages_have_a_type_of_the_list_and_no_other(tmp_path):
    """Otherwise a file could choose any NumPy type by a plain string in place of the storage's type."""
    file = checkpoint.write(tmp_path / "some.pth", {"a": np.ones(3, "float32")})
    file.write_bytes(file.read_bytes().replace(b"ctorch\nFloatStorage\n", b"U\x03<f8"))
    with pytest.raises(ValueError, match="something other than tensors of float32 and int64"):
        read(file)


def test_a_big_endian_machine_is_named(tmp_path):
    file = checkpoint.write(tmp_path / "some.pth", {"a": np.ones(3, "float32")})
    file.write_bytes(file.read_bytes().replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"))
    with pytest.raises(ValueError, match="written on a big-endian machine"):
        read(file)


def test_the_zip_format_of_newer_torch_is_named(tmp_path):
    (tmp_path / "new.pth").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ValueError, match="torch's zip format"):
        read(tmp_path / "new.pth")


@pytest.fixture
def written(tmp_path):
    """Return a checkpoint and its bytes."""
    file = checkpoint.write(tmp_path / "some.pth", {"a": np.ones((3, 2), "float32"), "b": np.array(1, "int64")})
    return file, file.read_bytes()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(written, data):
    """Whichever byte changes, and wherever the file ends, `read` raises a ValueError or returns arrays."""
    file, content = written[0], bytearray(written[1])
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] = data.draw(st.integers(0, 255))
    else:
        del content[place:]
    file.write_bytes(content)
    try:
        found = read(file)
    except ValueError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())


def test_reading_needs_no_torch(tmp_path):
    file = checkpoint.write(tmp_path / "some.pth", {"a": np.ones(3, "float32")})
    code = (
        "import sys; from pathlib import Path; from topwork.networks.weights import torch_checkpoint as t; "
        f"t.read(Path({str(file)!r})); print(sorted({{'keras', 'torch', 'tensorflow'}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
