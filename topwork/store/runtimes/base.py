"""What the runtimes ``openvino`` and ``keras`` share, and the choice between them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np

from topwork.errors import MissingExtra
from topwork.recipes.settings import Backbone
from topwork.system import gpu
from topwork.system.machine import has_bfloat16

if TYPE_CHECKING:
    import numpy as np


sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO would send usage data

BATCH = 4
"""Pictures per request: on CPUs, several small fixed batches at a time are fastest (docs/log.md)."""


class Runtime(Protocol):
    """A trunk ready to run.

    Attributes:
        trial: how many pictures are timed to predict the time of a fill.
        beside: whether it leaves the processor free for decoding.
    """

    trial: int
    beside: bool

    def stream(self, batches: "Iterator[np.ndarray]") -> "Iterator[list[np.ndarray]]":
        """Turn batches of pixels (uint8 ``[n, side, side, 3]``, ``n <= BATCH``) into activations, in order.

        One array per tensor of the cut, first axis ``n``. Work on several batches overlaps with the iterator's own.
        """
        ...


def resolved(backbone: Backbone) -> Backbone:
    """The backbone with ``"auto"`` replaced: the runtime for this machine, bfloat16 if the processor has it."""
    runtime = backbone.runtime
    if runtime == "auto":
        runtime = "openvino" if find_spec("openvino") and not gpu.at_hand() else "keras"
    if runtime == "openvino" and not find_spec("openvino"):
        raise MissingExtra(
            "the runtime 'openvino' needs the package openvino. Install it with: pip install openvino, "
            'or set runtime = "keras".'
        )
    fast = backbone.precision == "auto" and runtime == "openvino" and has_bfloat16()
    precision = backbone.precision if backbone.precision != "auto" else "bfloat16" if fast else "float32"
    return replace(backbone, runtime=runtime, precision=precision)


class Pixels:
    """The runtime of the cut ``x@input``."""

    trial, beside = 8 * BATCH, False

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.store.runtimes.base.Runtime`."""
        for batch in batches:
            yield [batch]
