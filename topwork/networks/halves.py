"""Cut a network into two plain Keras models that share its layers.

The frontier is the set of tensors that cross the cut. The trunk is the model below the frontier, and the top is the
model above the frontier.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from topwork.cut import Cut, Place
from topwork.networks.graph import Frontier
from topwork.networks.graph import Tensor as Where
from topwork.networks.keras_graph import Opened, open_backbone, open_model, single
from topwork.networks.replay import Call, plain, replay
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.system.keras_settings import ours
from topwork.system.messages import with_progress

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


def trunk(opened: Opened, frontier: Frontier) -> "keras.Model":
    """Make the model from the network's input to the frontier's tensors (one tensor, or a list in node order)."""
    import keras

    return keras.Model(opened.tensors[0][0], single(opened.at(frontier.tensors)), name="trunk")


def top(opened: Opened, frontier: Frontier, end: int) -> "keras.Model":
    """Make the model from the frontier's tensors (one tensor, or a list in node order) to the output of *end*."""
    import keras

    inputs = [keras.Input(t.shape[1:], dtype=t.dtype) for t in opened.at(frontier.tensors)]
    known = dict(zip(frontier.tensors, inputs))
    return keras.Model(single(inputs), above(opened, known, [end])[0], name="top")


def above(
    opened: Opened, known: Mapping[Where, "KerasTensor"], ends: Sequence[int], call: Call = plain
) -> list["KerasTensor"]:
    """Call the operations above the *known* tensors and return the outputs of *ends*.

    Args:
        opened: the network.
        known: symbolic tensors that replace the network's own tensors.
        ends: indices of nodes.
        call: see `topwork.networks.replay.replay`.
    """
    import keras

    goals = [opened.tensors[end][0] for end in ends]
    found = {id(old): new for old, new in zip(opened.at(known), known.values())}
    if known.get((0, 0)) is opened.tensors[0][0] and call is plain:
        return goals  # the network itself computes them
    if any(id(goal) not in found for goal in goals):
        found = replay(keras.Model(opened.tensors[0][0], goals), found, call)
    return [found[id(goal)] for goal in goals]


@ours()
@with_progress
def halves(
    what: "str | keras.Model",
    place: Place | None = None,
    backbone: Backbone | None = None,
    *,
    progress: bool = True,  # noqa: ARG001
) -> tuple["keras.Model", "keras.Model"]:
    """Cut a network into two plain Keras models, trunk and top. ``top(trunk(x))`` equals the output of the network.

    Args:
        what: a cut, or a functional ``keras.Model``. For a cut such as ``"resnet50@conv4_block6_out"``, the trunk takes
            uint8 RGB pixels ``[batch, side, side, 3]`` and scales them, and the top ends at the cut's end. For a model,
            the trunk takes the same input as the model, and nothing is added.
        place: where to cut a ``keras.Model``: the name of a layer, or a number of layers. By default, the model is cut
            at its output.
        backbone: options (weights, size) for the backbone that the cut names.
        progress: whether to show the download of weights.

    Returns:
        The trunk and the top. If the place is a number, several tensors may cross the cut. The trunk then returns a
        list of tensors, and the top takes this list.

    Raises:
        CutError: the place does not exist, or the network cannot be cut there.
        BackboneError: the model is subclassed, or has several inputs or outputs.

    Example:
        >>> import topwork as tw
        >>> small = tw.Backbone("mobilenet_v2_035", weights="random", size=64)
        >>> trunk, top = tw.halves("mobilenet_v2_035@block_12_add", backbone=small)
        >>> trunk.output.shape, top.output.shape
        ((None, 4, 4, 32), (None, 1280))
    """
    if not isinstance(what, str):
        opened = open_model(what)
        last = opened.graph.nodes[opened.graph.output].name
        frontier, end = opened.graph.resolve(last if place is None else place, last), opened.graph.output
    else:
        term = Cut.parse(what).only
        chosen = backbone or Backbone(term.backbone)
        opened = open_backbone(chosen, pretrained.weights_file(chosen))
        frontier, end = opened.graph.resolve(term.place, term.end), opened.graph.end(term.end)
    return trunk(opened, frontier), top(opened, frontier, end)


def rebuild(model: "keras.Model", call: Call) -> "keras.Model":
    """Rebuild a model as a flat model, with *call* for each operation.

    Layers that *call* does not replace are shared. A mapping of outputs stays a mapping.
    """
    import keras

    starts = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs]
    known = {id(tensor): start for tensor, start in zip(model.inputs, starts)}
    found = replay(model, known, call)
    if isinstance(model.output, dict):
        outputs = {name: found[id(tensor)] for name, tensor in model.output.items()}
    else:
        outputs = found[id(model.output)]
    return keras.Model(single(starts), outputs, name=model.name)
