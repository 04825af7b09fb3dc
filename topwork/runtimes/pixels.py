"""No trunk at all: at the place ``input`` the activations are the pixels."""

from collections.abc import Iterator

import numpy as np


class Pixels:
    """The runtime of the cut ``x@input``."""

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.runtimes.Runtime`."""
        for batch in batches:
            yield [batch]
