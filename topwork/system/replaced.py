"""Temporarily replace attributes of other packages.

Two parts of topwork replace attributes:

- `topwork.networks.backbones.builder`: Keras states the address and hash of an official file only in the call that
  downloads it
- `topwork.shipping.formats.frugal`: tf2onnx copies a network's weights after each of its passes, though one copy at the
  end is enough
"""

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
