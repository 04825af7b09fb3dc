"""The model that is exported: from pixels to probabilities, the distance, and a map of the classes."""

from typing import TYPE_CHECKING, Any

from topwork.networks.fusion import Joined
from topwork.networks.keras_graph import single
from topwork.networks.model import Network, classifier
from topwork.networks.outputs.class_maps import class_maps
from topwork.networks.outputs.distance import Distance, weighted
from topwork.networks.outputs.names import DISTANCE, MAP, PROBABILITIES

if TYPE_CHECKING:
    import keras


def complete(network: Network | Joined, distance: Distance | None) -> "keras.Model":
    """Make a model like `topwork.networks.model.Network.flat`, with a mapping of outputs.

    - ``probabilities``: float32 ``[batch, classes]``.
    - ``distance``: float32 ``[batch]``; only if a distance is given.
    - ``map``: float32 ``[batch, rows, columns, classes]``, whose average over the places is the logits; only if the
      network has such a map (`topwork.networks.outputs.class_maps`), which a join never has.
    """
    import keras

    pixels = network.pixels()
    found: dict[str, Any] = {}
    if isinstance(network, Joined):
        ends = network.ends(pixels)
        logits = [member.for_classes(member.outputs(own)) for member, own in zip(network.members, ends)]
        joined = network.rule.join(logits)
        if distance:
            parts = enumerate(zip(distance.measures, ends, logits), 1)
            each = [measure.symbolic(own, said, f"member_{number}_") for number, (measure, own, said) in parts]
            found[DISTANCE] = weighted(each, [1 / len(each)] * len(each), 0.0, "topwork_distance")
    else:
        reached = network.ends(pixels)
        outputs = network.outputs(reached)
        joined = network.for_classes(outputs)
        if distance:
            found[DISTANCE] = distance.measures[0].symbolic(reached, joined)
        if (maps := class_maps(outputs)) is not None:
            found[MAP] = network.for_classes(maps, MAP)
    model = classifier(pixels, joined)
    return keras.Model(single(model.inputs), {PROBABILITIES: model.output, **found}, name=model.name)
