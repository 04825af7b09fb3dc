"""The environment that a run began in: versions of packages, processor, backend."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.system import keras_backend
from topwork.system.machine import processor
from topwork.version import RUN_FORMAT, VERSION

PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "openvino",
    "numpy",
    "pillow",
    "scikit-learn",
    "onnx",
)


def versions() -> dict[str, str]:
    """The packages that a run depends on, as they are installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def environment(data: Dataset, parent: Path | None) -> dict[str, Any]:
    """What ``environment.json`` says of a run that begins now.

    Args:
        data: the run's dataset.
        parent: the folder of the run that it goes on from.
    """
    return {
        "format": RUN_FORMAT,
        "topwork": VERSION,
        "data": data.root,
        "source": data.source,
        "columns": list(data.columns),
        "classes": list(data.classes),
        "notes": list(data.notes),
        "parent": str(parent.resolve()) if parent else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "backend": keras_backend.name(),
        "onednn": keras_backend.onednn(),
        "packages": versions(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
