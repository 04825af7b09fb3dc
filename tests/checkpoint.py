"""Torch checkpoints in the format from before torch 1.6, written without torch, and a package that contains one."""

import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np

from topwork.networks.backbones import efficientnet_lite0
from topwork.networks.weights import efficientnet_lite0 as packaged


class Storage:
    """Stands for what torch's pickle names by a persistent id: the numbers that follow the pickles."""

    def __init__(self, key, numbers):
        self.key, self.numbers = key, numbers


class Tensor:
    """Is pickled as torch pickles a tensor."""

    def __init__(self, storage, shape, strides):
        self.storage, self.shape, self.strides = storage, shape, strides

    def __reduce__(self):
        about = self.storage, 0, self.shape, self.strides, False, OrderedDict()
        return sys.modules["torch._utils"]._rebuild_tensor_v2, about


class Pickler(pickle.Pickler):
    def persistent_id(self, found):
        if not isinstance(found, Storage):
            return None
        kind = "LongStorage" if found.numbers.dtype == np.int64 else "FloatStorage"
        return "storage", getattr(sys.modules["torch"], kind), found.key, "cpu", found.numbers.size, None


def modules():
    """Return as much of torch as a pickle names."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    return {"torch": torch, "torch._utils": utils}


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write a checkpoint; arrays keep their order in memory, as torch's tensors do."""
    storages = {name: Storage(str(i), _flat(array)) for i, (name, array) in enumerate(arrays.items())}
    tensors = OrderedDict(
        (name, Tensor(storages[name], array.shape, tuple(step // array.itemsize for step in array.strides)))
        for name, array in arrays.items()
    )
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    keys = [one.key for one in storages.values()]
    with path.open("wb") as file, patch.dict(sys.modules, modules()):
        for part in (0x1950A86A20F9469CFC6C, 1001, system, tensors, keys):
            Pickler(file, 2).dump(part)
        for one in storages.values():
            file.write(struct.pack("<q", one.numbers.size) + one.numbers.tobytes())
    return path


def _flat(array: np.ndarray) -> np.ndarray:
    return array.ravel("K")


def lite0(seed: int = 0) -> dict[str, np.ndarray]:
    """Return seeded values for EfficientNet-Lite0 and its classifier, named and shaped as in the package's file."""
    draw, found = np.random.default_rng(seed), {}

    def convolution(name, shape):
        found[f"{name}.weight"] = draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype("float32")

    def norm(name, channels):
        found[f"{name}.weight"] = np.ones(channels, "float32")
        found[f"{name}.bias"] = draw.normal(0, 0.1, channels).astype("float32")
        found[f"{name}.running_mean"] = draw.normal(0, 0.1, channels).astype("float32")
        found[f"{name}.running_var"] = draw.uniform(0.5, 1.5, channels).astype("float32")
        found[f"{name}.num_batches_tracked"] = np.array(1, "int64")

    convolution("_conv_stem", (32, 3, 3, 3))
    norm("_bn0", 32)
    channels = 32
    blocks = [stage for stage in efficientnet_lite0.STAGES for _ in range(stage.repeats)]
    for number, stage in enumerate(blocks):
        wide = channels * stage.expansion
        if stage.expansion > 1:
            convolution(f"_blocks.{number}._expand_conv", (wide, channels, 1, 1))
            norm(f"_blocks.{number}._bn0", wide)
        convolution(f"_blocks.{number}._depthwise_conv", (wide, 1, stage.kernel, stage.kernel))
        norm(f"_blocks.{number}._bn1", wide)
        convolution(f"_blocks.{number}._project_conv", (stage.filters, wide, 1, 1))
        norm(f"_blocks.{number}._bn2", stage.filters)
        channels = stage.filters
    convolution("_conv_head", (1280, channels, 1, 1))
    norm("_bn1", 1280)
    found["_fc.weight"] = draw.normal(0, 0.03, (1000, 1280)).astype("float32")
    found["_fc.bias"] = np.zeros(1000, "float32")
    return found


def package(folder: Path, monkeypatch, arrays: dict[str, np.ndarray] | None = None) -> Path:
    """Replace the package with one that contains such a checkpoint, or *arrays*; return the path of its file."""
    file = folder / packaged.MODULE / "models" / packaged.path().name
    file.parent.mkdir(parents=True)
    (folder / packaged.MODULE / "__init__.py").write_text("raise ImportError('it is never imported')\n")
    write(file, lite0() if arrays is None else arrays)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(packaged, "SHA256", packaged.files.sha256(file))
    monkeypatch.setattr(packaged, "BYTES", file.stat().st_size)
    monkeypatch.setattr(packaged, "version", lambda name: packaged.VERSION)
    return file
