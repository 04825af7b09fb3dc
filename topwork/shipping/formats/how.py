"""How a file is written, apart from its format."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topwork.shipping.formats.known import Precision


@dataclass(frozen=True)
class How:
    """How a file is written.

    Args:
        precision: of the weights.
        pixels: for ``int8``, training pictures that show which values occur: uint8 ``[n, height, width, 3]``, one array
            for each input.
    """

    precision: Precision = "float32"
    pixels: Sequence[np.ndarray] = ()
