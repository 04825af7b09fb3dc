"""The findings of ``topwork doctor``: what a bug report needs about this machine and installation, and their problems.

No heavy package is imported, so that a package that breaks on import is listed as well.
"""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from topwork.errors import TopworkError, UsageError, WeightsError
from topwork.networks.weights import efficientnet_lite0, files, official
from topwork.system import gpu, keras_settings, machine
from topwork.system import keras_backend as backend
from topwork.system.files import MEND, home, standing, wrong
from topwork.system.keras_settings import OURS
from topwork.system.messages import size
from topwork.version import VERSION

PACKAGES = (
    *("keras", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch", "openvino", "numpy", "lmdb", "pillow"),
    *("onnx", "onnxruntime", "scikit-learn", "h5py", "tf2onnx", "jax2onnx", efficientnet_lite0.PACKAGE),
)

LITTLE_DISK, LITTLE_MEMORY = 1_000_000_000, 1_000_000_000
"""Limits in bytes: if less disk space or memory is free, there is a warning."""

NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs", "glusterfs"}
NETWORK |= {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "gpfs"}
"""The names that Linux gives to network file systems."""


@dataclass(frozen=True)
class Problem:
    """A problem, and how to fix it. If it is *fatal*, topwork cannot be used until it is fixed."""

    text: str
    fatal: bool = False


@dataclass(frozen=True)
class Disk:
    """The disk of a folder: its path, the free bytes, and the type of the file system (``None`` if unknown)."""

    path: str
    free: int
    filesystem: str | None


@dataclass(frozen=True)
class Diagnosis:
    """All findings. Sizes are in bytes; in paths, ``~`` is the user's home folder.

    Args:
        topwork, python, system: versions.
        backend: Keras' backend.
        settings: the settings for Keras, in ``keras.json`` or the environment, that topwork ignores. For each name, the
            value *found* there and the value *used* instead.
        packages: the version of each installed package, by its name.
        processor: the name of the processor; features: its features that matter for speed.
        cores: the number of cores that this process may use, and the number in total.
        gpu: whether the backend computes on a GPU; ``None`` if the backend cannot be imported.
        memory: the most that this process can use, and how much is free; ``None`` if unknown.
        home: the disk for stores and trunks; keras: the disk for ImageNet weights.
        at_hand: the backbones that have an ImageNet file on this machine.
        default: the backbone that a run uses if it names none; ``None`` if no weights for it are on this machine.
        offline: whether topwork never uses the network.
        problems: all problems that were found.
    """

    topwork: str
    python: str
    system: str
    backend: str
    settings: dict[str, dict[str, Any]]
    packages: dict[str, str]
    processor: str
    features: list[str]
    cores: tuple[int, int]
    gpu: bool | None
    memory: tuple[int, int] | None
    home: Disk
    keras: Disk
    at_hand: list[str]
    default: str | None
    offline: bool
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether topwork can be used at all."""
        return not any(problem.fatal for problem in self.problems)


def diagnose() -> Diagnosis:
    """Examine this machine and installation.

    Example:
        >>> platform.python_version() in diagnose().python
        True
    """
    own, of_keras = (
        Disk(tilde(path), shutil.disk_usage(standing(path)).free, filesystem(path)) for path in (home(), files.folder())
    )
    try:
        settings = {name: {"found": value, "used": OURS[name]} for name, value in keras_settings.found().items()}
    except UsageError:  # `_problems` reports it
        settings = {}
    try:
        has_gpu = gpu.at_hand()
    except Exception:  # an error here must not end the diagnosis
        has_gpu = None

    found = Diagnosis(
        topwork=VERSION,
        python=f"{platform.python_version()} ({tilde(Path(sys.executable))})",
        system=platform.platform(),
        backend=backend.name(),
        settings=settings,
        packages={name: found for name in PACKAGES if (found := _version(name))},
        processor=machine.processor(),
        features=machine.features(),
        cores=(machine.jobs(), os.cpu_count() or 1),
        gpu=has_gpu,
        memory=machine.memory(),
        home=own,
        keras=of_keras,
        at_hand=list(dict.fromkeys(one.backbone for one in official.at_hand())),
        default=_default()[0],
        offline=files.offline(),
    )
    found.problems.extend([*_packages(), *_problems(found)])
    return found


def tilde(path: Path) -> str:
    """Return a path with ``~`` for the home folder, so that others do not see its name, which often is the user's."""
    text, own = str(path.absolute()), str(Path.home())
    return "~" + text[len(own) :] if own != "/" and (text + "/").startswith(own + "/") else text


def filesystem(path: Path, mounts: str = "/proc/self/mountinfo") -> str | None:
    """Return the type of the file system that a path is on; ``None`` if unknown. See ``man 5 proc``, mountinfo."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, best = os.path.realpath(standing(path)), ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(
            best[0]
        ):  # of several mounts at one point, the last one hides the others
            best = point, after.split()[0]
    return best[1] or None


def _default() -> tuple[str | None, str]:
    """Return the name of the default network and ``""``; or, if there is none, ``None`` and the reason."""
    try:
        return official.default()[0].name, ""
    except WeightsError as error:
        return None, str(error)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages() -> Iterator[Problem]:
    """Yield a problem for each required package that is missing or too old; nothing if topwork is not installed."""
    try:
        lines = requires("topwork") or []
    except PackageNotFoundError:
        return
    for line in lines:
        required = re.fullmatch(r"([\w-]+)[^;]*>=([\d.]+)[^;]*", line)
        if not required:
            continue
        name, least = required.groups()
        found = _version(name)
        if found is None:
            yield Problem(f'{name} is not installed. Install it: pip install "{name}>={least}"', fatal=True)
            continue
        starts = [re.sub(r"[^\d.].*", "", release) for release in (found, least)]  # 2.21.0rc1 -> 2.21.0
        has, needs = ([int(number) for number in re.findall(r"\d+", start)] for start in starts)
        if has < needs:
            yield Problem(
                f'{name} {found} is too old: topwork needs {least} or later. Update it: pip install "{name}>={least}"',
                fatal=True,
            )


def _problems(found: Diagnosis) -> Iterator[Problem]:
    """Yield the problems of the backend, topwork's home, the default network, the free disk and the free memory."""
    try:
        backend.check()
    except TopworkError as error:
        own = str(Path.home())
        text = str(error) if own == "/" else str(error).replace(f"'{own}/", "'~/")
        yield Problem(text, fatal=True)
    else:
        if found.gpu is None:
            yield Problem(
                f'the backend {found.backend} cannot be imported: python -c "import keras" shows why.', fatal=True
            )

    if unusable := wrong():
        place, why = unusable
        yield Problem(f"topwork's home {found.home.path} cannot be used: {tilde(place)}: {why}. {MEND}", fatal=True)
    if found.home.filesystem in NETWORK:
        yield Problem(
            f"topwork's home {found.home.path} is on a network file system ({found.home.filesystem}), where "
            "activations may be damaged and access is slow. Set TOPWORK_HOME to a folder on a local disk."
        )
    if found.default is None:
        yield Problem(f"there is no default network: {_default()[1]}")
    if found.home.free < LITTLE_DISK:
        yield Problem(
            f"only {size(found.home.free)} are free at {found.home.path}. Free some space (topwork store prune deletes "
            "what no run needs), or set TOPWORK_HOME to a folder on a larger disk."
        )
    if found.memory and found.memory[1] < LITTLE_MEMORY:
        yield Problem(f"only {size(found.memory[1])} of memory are free. Close other programs.")


def as_json(found: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as one object for JSON."""
    from dataclasses import asdict

    names = ("usable", "total")
    pairs = {"cores": dict(zip(names, found.cores))}
    memory = dict(zip(("usable", "free"), found.memory)) if found.memory else None
    return {**asdict(found), **pairs, "memory": memory, "usable": found.is_usable}
