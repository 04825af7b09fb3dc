"""Start a run from a finished one, the parent: use its recipe, its weights, and its logits for classes of both runs."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from topwork.errors import CutError, RunError
from topwork.networks.heads import Values
from topwork.networks.model import Network
from topwork.recipes.recipe import Recipe
from topwork.runs import lockfile
from topwork.runs.folder import Folder
from topwork.store.plan import Step, steps
from topwork.system.advice import either
from topwork.system.messages import say, some


def recipe(parent: Folder) -> Recipe:
    """Return the parent's recipe with only its last phase, because its weights already result from all phases.

    Raises:
        RunError: the parent is a join.
    """
    found = parent.recipe
    if found.join:
        raise RunError(
            f"cannot start from {str(parent.path)!r}: it joins runs. Start from one of them, as in "
            + either(f"parent={str(parent.members[0].path)!r}", f"--from {parent.members[0].path}")
        )
    return replace(found, phases=found.phases[-1:])


def check(parent: Folder, wanted: Recipe, planned: Sequence[Step]) -> None:
    """Check that the networks are the same, and that all layers which the parent trained are above the new run's cuts.

    Raises:
        RunError: the parent has not finished, is a join, or differs in its networks, head or loss; or its pretrained
            weights have changed since.
        CutError: a cut freezes layers that the parent trained.
    """
    recipe(parent)
    had = parent.recipe
    if not parent.is_finished:
        raise RunError(f"the run {str(parent.path)!r} has not finished: resume it first.")
    then, now = _kept(had), _kept(wanted)
    if others := [key for key in then if key in now and then[key] != now[key]]:
        told = ", ".join(f"{key} ({_shown(then[key])} there, {_shown(now[key])} here)" for key in others)
        raise RunError(
            f"cannot start from {str(parent.path)!r}, which differs in {told}. "
            f"Set it as in that run, or train without {either('parent', '--from')}."
        )
    if any(phase.refit for phase in had.phases):
        raise RunError(
            f"cannot start from {str(parent.path)!r}: with refit = true, it learned its validation part as well, so "
            "that no later phase could be validated. Start from a run without refit."
        )
    lockfile.check(parent)
    before = steps(had)[-1]
    for old, new, term in zip(before.trunks(), planned[-1].trunks(), planned[-1].terms):
        if new.frontier.below & ~old.frontier.below:
            raise CutError(
                f"'{term}' freezes what the parent run trained ('{before.phase.cut}'): "
                "cut there, or nearer to the input."
            )


def load(network: Network, parent: Folder, classes: Sequence[str]) -> list[str]:
    """Load the parent's weights into a new network, and return the classes that are new; see `inherited`."""
    values, new = inherited(network.values(), network.head.layers[-1].name, parent, classes)
    network.load(values)
    return new


def inherited(own: Values, last: str, parent: Folder, classes: Sequence[str]) -> tuple[Values, list[str]]:
    """Return the weights that a run starts from, and the classes that are new.

    Args:
        own: the weights of its layers, by layer: where the parent has a layer of this form, its weights are taken.
        last: the name of the layer of the logits. It keeps those of classes that both have; for new classes, its
            weights are zero.
        parent, classes: the parent, and the classes of the new run in the order of its logits.

    Raises:
        RunError: there is one logit for two classes, and these are not the parent's classes.
    """
    values, own = parent.weights(), dict(own)
    had, where = parent.data().classes, repr(str(parent.path.resolve()))
    if tuple(had) != tuple(classes) and own[last][-1].shape == (1,):
        raise RunError(
            f"cannot start from {where}: its one logit tells {had[0]!r} from {had[1]!r}, "
            f"and the classes are {classes[0]!r} and {classes[1]!r} now. Train without {either('parent', '--from')}."
        )
    for name, arrays in values.items():
        if name in own and [array.shape for array in arrays] == [array.shape for array in own[name]]:
            own[name] = arrays

    if tuple(had) != tuple(classes):
        both = [label for label in classes if label in had]
        into, out_of = [list(classes).index(label) for label in both], [list(had).index(label) for label in both]
        own[last] = [np.zeros_like(new) for new in own[last]]
        for old, added in zip(values[last], own[last]):
            added[..., into] = old[..., out_of]

    others = ""
    new = [label for label in classes if label not in had]
    for word, labels in (("new", new), ("left out", [label for label in had if label not in classes])):
        others += f"; {word}: {some([*map(repr, labels)])}" if labels else ""
    say(f"Started from the weights of {where}{others}.")
    return own, new


def _kept(wanted: Recipe) -> dict[str, Any]:
    """Return what must be the same in both runs, by key.

    This is where the networks end, their options, the head (if it is a file, the file's bytes), and the loss.
    """
    terms = steps(wanted)[-1].terms
    found: dict[str, Any] = {"where the cut ends": [(term.backbone, term.end, term.picture) for term in terms]}
    for term in terms:
        options = asdict(wanted.backbones[term.backbone]).items()
        found |= {f"backbones.{term.backbone}.{key}": value for key, value in options if key != "name"}
    found |= {f"head.{key}": value for key, value in asdict(wanted.head).items()}
    found["head.file"] = Path(wanted.head.file).read_bytes() if wanted.head.file else None
    return found | {"training.loss": wanted.training.loss}


def _shown(value: Any) -> str:
    """Return a value of `_kept` as text: the digest of a file's bytes, the networks' ends as in a cut."""
    if isinstance(value, list):
        return " + ".join(f"{name}..{end}" + (f"[{picture}]" if picture else "") for name, end, picture in value)
    return f"SHA-256 {sha256(value).hexdigest()[:12]}" if isinstance(value, bytes) else repr(value)
