"""Replace attributes of other packages, and environment variables, for a while.

Two things need this. Keras names the address and the hash of an official file only in the call that
downloads it (`topwork.networks.backbones.builder`). And tf2onnx copies a network's weights after each of its passes,
where once at the end is enough (`topwork.shipping.formats.onnx`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute of a module or class another value inside the ``with``.

    Example:
        >>> import math
        >>> with replaced(math, "pi", 3):
        ...     math.pi
        3
        >>> round(math.pi, 2)
        3.14
    """
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Give an environment variable another value inside the ``with``."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
