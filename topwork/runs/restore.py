"""Restore the network of a finished run, or the joined networks of its members."""

from collections.abc import Sequence
from dataclasses import replace

from topwork.data.dataset import Dataset, Row
from topwork.networks.fusion import Joined, learned
from topwork.networks.model import Network, create
from topwork.networks.places import graph_of
from topwork.runs import lockfile
from topwork.runs.folder import Folder
from topwork.store.plan import Step, steps
from topwork.store.request import Request, resolve
from topwork.system.keras_settings import generators_kept


def restore(folder: Folder) -> Network | Joined:
    """Return the network of a finished run with its trained weights.

    Raises:
        RunError: the run has not finished.
    """
    members = folder.members
    if not members:
        return network_of(folder)
    rule = learned(folder.weights())
    return Joined([network_of(member) for member in members], rule, folder.data().columns[0])


def endings(folder: Folder) -> list[Step]:
    """Return the last phase of a run; for a join, the last phase of each member."""
    return [steps(one.recipe)[-1] for one in folder.members or [folder]]


def shipped(endings: Sequence[Step], data: Dataset, rows: Sequence[Row]) -> list[Request]:
    """Return the requests for the activations of *rows* in float32, as needed to test a finished model."""
    return [one for step in endings for one in step.exact(replace(data, rows=tuple(rows)))]


def trained_on(endings: Sequence[Step], data: Dataset, rows: Sequence[Row]) -> list[Request]:
    """Return the requests for the activations of *rows*, in the precision that the runs were trained in."""
    return [one for step in endings for one in step.of(replace(data, rows=tuple(rows))).requests]


def network_of(folder: Folder) -> Network:
    """Return the network of a finished run that is not a join, with its trained weights.

    Raises:
        RunError: the run has not finished, or its pretrained weights have changed.
    """
    values, recipe = folder.weights(), folder.recipe
    lockfile.check(folder)
    used = [(term, recipe.backbones[term.backbone]) for term in recipe.phases[-1].terms]
    trunks = [resolve(term, backbone, graph_of(backbone)) for term, backbone in used]
    with generators_kept():
        network = create(recipe, trunks, len(folder.data().classes))
        network.load(values)
    return network
