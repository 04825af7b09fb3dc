"""Names for the layers of your own networks and heads: unique, not used by topwork, accepted by any exporter.

Keras accepts almost any name, such as ``conv 1`` or ``花``. TensorFlow's graphs, in which a model is trained and
exported, accept letters, digits and a few signs. A flat model accepts each name only once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from topwork.networks.replay import functional

_OURS = re.compile(r"(head|views|member|branch|topwork|own)_.*|logits|probabilities|mixture|join")
"""The names of the layers that topwork adds."""


def safe(names: Iterable[str], prefix: str = "") -> list[str]:
    """Return safe names in place of *names*, each with the prefix; names that are safe already do not change.

    Example:
        >>> safe(["conv", "conv 1", "conv/1", "花", "logits"])
        ['conv', 'conv_1', 'conv_1_1', 'own__', 'own_logits']
    """
    given = [prefix + name for name in names]
    used = {name for name in given if _fit(name, prefix) == name}
    found: dict[str, None] = {}
    for name in given:
        stem = free = _fit(name, prefix)
        number = 0
        while free in found or (free in used and free != name):
            number += 1
            free = f"{stem}_{number}"
        found[free] = None
    return list(found)


def rename(operations: Sequence[Any], prefix: str = "") -> None:
    """Give operations, and the layers inside them, `safe` names, which depend only on the old names and their order."""
    different = list({id(one): one for one in operations}.values())
    for operation, name in zip(different, safe((one.name for one in different), prefix)):
        operation.name = name
        if hasattr(operation, "_flatten_layers") and functional(operation) is None:  # its layers are not in a graph
            inside = operation._flatten_layers(include_self=False)
            for layer, inner in zip(inside, safe(layer.name for layer in inside)):
                layer.name = inner


def operations(network: Any) -> list[Any]:
    """List all operations of a model except inputs, each once; nested models are replaced by their operations."""
    return list({id(operation): operation for operation, _ in _within(network, ())}.values())


def alike(network: Any) -> list[str]:
    """Return the sorted names that several operations of a model share; nested models are searched as well."""
    counts = Counter(operation.name for operation in operations(network))
    return sorted(name for name, count in counts.items() if count > 1)


def tell_apart(network: Any) -> None:
    """Rename operations that share a name: put the names of the nested models that contain them in front.

    For example, ``conv`` in the models ``left`` and ``right`` becomes ``left_conv`` and ``right_conv``. This changes
    the network itself, and its places get the new names.
    """
    same = alike(network)
    used = {operation.name for operation in operations(network)} - set(same)
    found = {id(operation): (operation, outer) for operation, outer in _within(network, ()) if operation.name in same}
    for operation, outer in found.values():
        stem = name = "_".join([*outer, operation.name])
        number = 1
        while name in used:
            number += 1
            name = f"{stem}_{number}"
        used.add(name)
        operation.name = name


def _within(network: Any, outer: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield the operations of a model except inputs, each with the names of the nested models that contain it."""
    import keras

    for operation in functional(network).operations:
        if functional(operation) is not None:
            yield from _within(operation, (*outer, operation.name))
        elif not isinstance(operation, keras.layers.InputLayer):
            yield operation, outer


def _fit(name: str, prefix: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    is_ours = not prefix and _OURS.fullmatch(text)
    return f"own_{text}" if is_ours or not re.search("[A-Za-z0-9]", text) else text
