"""This machine: its processor and memory, as Linux reports them; on other systems, as far as Python can find out."""

import os
import platform
from pathlib import Path

FEATURES = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 bf16", "amx_bf16": "AMX bf16"}
"""Features of the processor that the speed of a trunk depends on: name in Linux -> name in topwork's messages."""


def processor() -> str:
    """Return the processor's name."""
    return _said("/proc/cpuinfo").get("model name") or platform.processor()


def features() -> list[str]:
    """Return the names of those `FEATURES` that the processor has."""
    flags = _said("/proc/cpuinfo").get("flags", "").split()
    return [name for flag, name in FEATURES.items() if flag in flags]


def memory() -> tuple[int, int] | None:
    """Return the most memory that this process may use and the memory that is free now, both in bytes.

    Return ``None`` if the system does not report them. If the process runs in a container with a limit below the
    machine's memory, the first value is that limit.
    """
    told = _said("/proc/meminfo")
    if "MemAvailable" not in told:
        return None
    total, free = (1024 * int(told[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is None or used is None or limit > total:
        return total, free
    return limit, max(0, min(free, limit - used))


def _said(file: str) -> dict[str, str]:
    """Read a file with lines ``name: value``; if a name occurs more than once, its first value counts."""
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in reversed(lines))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(file: str) -> int | None:
    try:
        return int(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None


def jobs() -> int:
    """Return how many processors this process may use, from its CPU affinity and the container's limit."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split())
    except (OSError, ValueError):  # no such limit, or "max"
        return usable
    return max(1, min(usable, quota // period))


def has_bfloat16() -> bool:
    """Return whether the processor computes in bfloat16."""
    info = Path("/proc/cpuinfo")
    return info.exists() and any(
        word in info.read_text(encoding="utf-8", errors="replace") for word in ("avx512_bf16", "amx_bf16")
    )
