"""A run that starts from a finished one: its recipe, its weights, its classes as far as they are still wanted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from topwork import lock
from topwork.errors import CutError, RunError
from topwork.folder import Folder
from topwork.network import Network
from topwork.plan import Step, steps
from topwork.recipe import Recipe


def recipe(parent: Folder) -> Recipe:
    """The parent's recipe with its last phase alone: what came before that is in the weights.

    Raises:
        RunError: the parent is a join.
    """
    found = parent.recipe
    if found.join:
        raise RunError(
            f"cannot start from {str(parent.path)!r}: it joins runs. Start from one of them, as in "
            f"--from {parent.members()[0].path}"
        )
    return replace(found, phases=found.phases[-1:])


def check(parent: Folder, wanted: Recipe, planned: Sequence[Step]) -> None:
    """That what the parent trained is above the new run's cuts, in the same network.

    Raises:
        RunError: the parent has not finished, is a join, ends otherwise, or its pretrained weights are others by now.
        CutError: a cut freezes what the parent trained.
    """
    recipe(parent)
    had = parent.recipe
    if not parent.is_finished:
        raise RunError(f"the run {str(parent.path)!r} has not finished: resume it first.")
    if _ends(had) != _ends(wanted) or _head(had) != _head(wanted) or had.training.loss != wanted.training.loss:
        raise RunError(
            f"cannot start from {str(parent.path)!r}: its backbones, ends, head and loss must be those of the new run. "
            "Leave them as they are there, or train without --from."
        )
    lock.check(parent)
    before = steps(had)[-1]
    for old, new, term in zip(before.trunks(), planned[-1].trunks(), planned[-1].terms):
        if new.frontier.below & ~old.frontier.below:
            raise CutError(
                f"'{term}' freezes what the parent run trained ('{before.phase.cut}'): "
                "cut there, or nearer to the input."
            )


def load(network: Network, parent: Folder, classes: Sequence[str]) -> None:
    """Put the parent's weights into a new network; logits of new classes keep their start.

    Raises:
        RunError: one logit stands for two classes, and these are others by now.
    """
    values, own = parent.weights(), network.values()
    had = parent.data().classes
    if network.head.output_shape[-1] == 1 and tuple(had) != tuple(classes):
        raise RunError(
            f"cannot start from {str(parent.path)!r}: its one logit tells {had[0]!r} from {had[1]!r}, "
            f"and the classes are {classes[0]!r} and {classes[1]!r} now. Train without --from."
        )
    own |= {name: arrays for name, arrays in values.items() if name in own and _same(arrays, own[name])}
    last = network.head.layers[-1].name
    if tuple(had) != tuple(classes):
        both = [label for label in classes if label in had]
        into, out_of = [list(classes).index(label) for label in both], [list(had).index(label) for label in both]
        own[last] = [_placed(old, new, out_of, into) for old, new in zip(values[last], network.values()[last])]
    network.load(own)


def _placed(old: np.ndarray, new: np.ndarray, out_of: list[int], into: list[int]) -> np.ndarray:
    """A new layer's array with the columns that an old one has."""
    new = np.zeros_like(new)
    new[..., into] = old[..., out_of]
    return new


def _same(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return [x.shape for x in a] == [x.shape for x in b]


def _head(wanted: Recipe) -> Any:
    """A head as it can be compared: that of a file by its content."""
    file = wanted.head.file
    return replace(wanted.head, file=None), Path(file).read_bytes() if file else None


def _ends(wanted: Recipe) -> Any:
    last = steps(wanted)[-1]
    return [(replace(term, place=0), wanted.backbones[term.backbone]) for term in last.terms]
