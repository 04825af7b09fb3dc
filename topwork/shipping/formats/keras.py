"""Write a flat model as Keras writes models: to train it further, or to look at it."""

from pathlib import Path
from typing import TYPE_CHECKING

from topwork.shipping.formats.how import How

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:  # noqa: ARG001
    """Write a ``.keras`` file, which ``keras.models.load_model`` reads on any backend."""
    model.save(path)
