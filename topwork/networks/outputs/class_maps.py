"""Class activation maps: which places of a picture speak for a class (Zhou et al. 2016, CVPR, arXiv:1512.04150).

If a linear head reads the average of a map, the logits are the average of a map of logits, so that this map shows
exactly where the logits come from.
"""

from typing import TYPE_CHECKING, Any

from topwork.networks.replay import is_idle, made_by, scaled

if TYPE_CHECKING:
    from keras import KerasTensor


def class_maps(logits: "KerasTensor") -> "KerasTensor | None":
    """Return the symbolic map ``[batch, rows, columns, outputs]`` whose average over the places is *logits*.

    It is found by structure: below the logits, there are only layers that commute with an average (dense layers without
    activation, batch-norm, layers that do nothing in inference), and then the average of a map. ``None`` if there are
    other layers.
    """
    from keras import activations, layers

    steps: list[Any] = []
    tensor = logits
    while True:
        operation, args, kwargs = made_by(tensor)
        if isinstance(operation, layers.GlobalAveragePooling2D):
            if args[0].shape[1:3] != (1, 1):
                break
        elif isinstance(operation, layers.Dense) and operation.activation is activations.linear:
            steps.append(operation)
        elif isinstance(operation, layers.BatchNormalization) and operation.axis in (-1, len(args[0].shape) - 1):
            steps.append(scaled(operation, f"{operation.name}_of_map"))
        elif not is_idle(operation, args, kwargs):
            return None
        tensor = args[0]
    found = args[0]
    if operation.data_format != "channels_last":
        return None
    for step in reversed(steps):
        found = step(found)
    return found
