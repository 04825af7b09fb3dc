"""Temporarily replace attributes of other packages, and environment variables.

Two parts of topwork replace attributes:

- `topwork.networks.backbones.builder`: Keras states the address and hash of an official file only in the call that
  downloads it
- `topwork.shipping.formats.onnx`: tf2onnx copies a network's weights after each of its passes, though one copy at the
  end is enough
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Inside the ``with``, give an attribute of a module or class another value.

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
    """Inside the ``with``, give an environment variable another value."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
