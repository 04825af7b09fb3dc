"""No trunk at all: at the place ``input`` the activations are the pixels."""

from collections.abc import Iterator

import numpy as np

from topwork.runtimes import BATCH


class Pixels:
    """The runtime of the cut ``x@input``."""

    trial, beside = 8 * BATCH, False

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.runtimes.Runtime`."""
        for batch in batches:
            yield [batch]
