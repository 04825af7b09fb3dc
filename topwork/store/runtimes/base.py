"""The interface of the runtimes ``openvino`` and ``keras``, and the choice between them."""

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
"""Pictures per batch: on CPUs, it is fastest to run several small batches of a fixed size at a time."""


class Runtime(Protocol):
    """A trunk that is ready to run.

    Attributes:
        trial: the number of pictures that are timed to estimate the time of a fill.
        beside: whether the trunk leaves the processor free for decoding while it runs.
    """

    trial: int
    beside: bool

    def stream(self, batches: "Iterator[np.ndarray]") -> "Iterator[list[np.ndarray]]":
        """Turn batches of pixels (uint8 ``[n, side, side, 3]``, ``n <= BATCH``) into activations, in order.

        Several batches may run at the same time, also while *batches* prepares the next one.

        Yields:
            A list with one array per tensor of the cut, for one or several batches; the first axis is the pictures.
        """
        ...


def resolved(backbone: Backbone) -> Backbone:
    """Return the backbone with each ``"auto"`` replaced by the choice for this machine.

    The runtime becomes ``openvino`` if it is installed and there is no GPU, else ``keras``. The precision becomes
    float32, unless the runtime is ``openvino`` and the processor has bfloat16: then it stays ``"auto"``, as
    `topwork.store.precision` decides it by the pictures.
    """
    runtime = backbone.runtime
    if runtime == "auto":
        runtime = "openvino" if find_spec("openvino") and not gpu.at_hand() else "keras"
    if runtime == "openvino" and not find_spec("openvino"):
        raise MissingExtra(
            "the runtime 'openvino' needs the package openvino. Install it with: pip install openvino, "
            'or set runtime = "keras".'
        )
    is_open = runtime == "openvino" and has_bfloat16()
    precision = "float32" if backbone.precision == "auto" and not is_open else backbone.precision
    return replace(backbone, runtime=runtime, precision=precision)


class Pixels:
    """The runtime for the cut ``x@input``: the activations are the pixels themselves."""

    trial, beside = 8 * BATCH, False

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.store.runtimes.base.Runtime`."""
        for batch in batches:
            yield [batch]
