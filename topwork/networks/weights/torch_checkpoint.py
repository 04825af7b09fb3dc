"""Read torch checkpoints in the format before torch 1.6, without torch.

Such a file begins with five pickles: a magic number, the version of the format, the byte order of the machine, the
shapes of the tensors by name, and the keys of the storages. A storage is an array of numbers. The length and the
numbers of each storage follow. No code in the file can run, because its pickles may use only the names in `_ALLOWED`.
Source of the format: ``_legacy_save`` in ``torch/serialization.py``.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided


def read(file: Path) -> dict[str, np.ndarray]:
    """Read a checkpoint and return its tensors by name, in the file's order.

    Args:
        file: a file that ``torch.save(model.state_dict(), file, _use_new_zipfile_serialization=False)`` has written;
            all its tensors must be float32 or int64.

    Raises:
        ValueError: the file is cut short, is in another format, or uses names that tensors do not need.
    """
    with file.open("rb") as opened:
        if opened.read(4) == b"PK\x03\x04":
            raise ValueError(
                "it is in torch's zip format, which is not read: save it with "
                "torch.save(..., _use_new_zipfile_serialization=False)"
            )
        opened.seek(0)
        try:
            magic, protocol, system = (_Restricted(opened).load() for _ in range(3))
            if (magic, protocol) != (_MAGIC, _PROTOCOL):
                raise ValueError("its first pickles are not those of torch")
            if not system["little_endian"]:
                raise ValueError("it was written on a big-endian machine")
            tensors, keys = _Restricted(opened).load(), _Restricted(opened).load()

            size = file.stat().st_size
            stored: dict[str, np.ndarray] = {}
            dtypes = {tensor.storage.key: np.dtype(tensor.storage.dtype) for tensor in tensors.values()}
            for key in keys:
                count = int(np.frombuffer(opened.read(8), "<i8")[0])
                if not 0 <= count <= size:
                    raise ValueError(f"a storage has {count} numbers in a file of {size} bytes")
                stored[key] = np.frombuffer(opened.read(count * dtypes[key].itemsize), dtypes[key], count)
            return {str(name): tensor.of(stored[tensor.storage.key]) for name, tensor in tensors.items()}
        except _DAMAGES as error:
            reason = error or type(error).__name__
            raise ValueError(
                f"it is not a torch checkpoint in the format before torch 1.6, or it is damaged: {reason}"
            ) from None


_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


_DAMAGES = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError),
    *(LookupError, AttributeError, ArithmeticError, MemoryError),
)
"""The errors that occur if bytes are missing or changed; with a changed length, too much memory may be requested."""


@dataclass(frozen=True, slots=True)
class _DType:
    """The dtype of a storage's numbers, by its name in NumPy."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """An array of numbers that follows the pickles in the file."""

    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    """A part of a storage; it takes the place of a torch tensor when the pickles are read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the tensor's values from its storage's numbers.

        Raises:
            ValueError: the tensor is not completely inside the storage.
        """
        steps = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or self.offset + steps >= len(numbers):
            raise ValueError(f"a tensor of shape {self.shape} is outside its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        return as_strided(numbers[self.offset :], self.shape, strides)


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *values: _Tensor(*values[:4]),  # the other values are for training
    ("torch", "FloatStorage"): _DType("<f4"),
    ("torch", "LongStorage"): _DType("<i8"),
}
"""The names that the pickles in a file may use, and the objects that replace them here."""


class _Restricted(pickle.Unpickler):
    """An unpickler that accepts only the names in `_ALLOWED` (Python's documentation, "Restricting globals")."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which tensors of float32 and int64 do not need")
        return _ALLOWED[module, name]

    def persistent_load(self, found: Any) -> _Storage:
        kind, dtype, key, *_ = found
        if kind != "storage" or not isinstance(dtype, _DType):
            raise pickle.UnpicklingError("it holds something other than tensors of float32 and int64")
        return _Storage(key, dtype.name)
