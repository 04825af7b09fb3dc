"""The facts that must be stated with a figure: date, processor, precision, versions, command."""

import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from topwork.recipes.settings import Backbone
from topwork.store.runtimes import base
from topwork.system import gpu, keras_backend, machine
from topwork.version import VERSION

PACKAGES = {
    "Keras": ("keras",),
    "TensorFlow": ("tensorflow", "tensorflow-cpu"),
    "JAX": ("jax",),
    "PyTorch": ("torch",),
    "OpenVINO": ("openvino",),
    "Pillow": ("pillow",),
}


def measured_on(command: str) -> str:
    """Return all of these facts in one sentence."""
    precision = base.resolved(Backbone("")).precision
    if precision == "auto":
        precision = "bfloat16 (float32 for pictures that need it)"
    versions = ", ".join(f"{name} {found}" for name, names in PACKAGES.items() if (found := _version(names)))
    return (
        f"Measured on {date.today()} on {processor()}, {machine.jobs()} cores, {_gpu()}"
        f"topwork's trunk in {precision}, with Python {platform.python_version()}, topwork {VERSION}, {versions}: "
        f"`{command}`."
    )


def processor() -> str:
    """Return the processor's name, with AVX-512 (or else AVX2) and bf16 in brackets if it has them."""
    known = _cpuinfo()
    name, flags = known.get("model name") or platform.processor() or platform.machine(), known.get("flags", "").split()
    has = {"avx512f": "AVX-512", "avx2": "AVX2"}
    wide = [word for flag, word in has.items() if flag in flags][:1] + ["bf16"] * ("avx512_bf16" in flags)
    return f"{name} ({', '.join(wide)})" if wide else name


def _gpu() -> str:
    if not gpu.at_hand():
        return ""
    asked = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return f"{asked.stdout.splitlines()[0]}, Keras on {keras_backend.name()}, "


def _cpuinfo() -> dict[str, str]:
    """Return the first value of each key in ``/proc/cpuinfo``; empty if there is no such file."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.split(":", 1) for line in reversed(lines) if ":" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def _version(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
