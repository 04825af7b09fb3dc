"""What a finished run answers with: its own network, or its members' networks joined."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from topwork.data.dataset import Dataset, Row
from topwork.folder import Folder
from topwork.networks import model
from topwork.networks.fusion import Joined, learned
from topwork.store.plan import Step, steps
from topwork.store.request import Wanted

if TYPE_CHECKING:
    pass
from topwork.networks.model import Answering


def restore(folder: Folder) -> Answering:
    """The layers of a finished run with what they learned.

    Raises:
        RunError: the run has not finished.
    """
    members = folder.members()
    if not members:
        return model.restore(folder)
    rule = learned(folder.weights())
    return Joined([model.restore(member) for member in members], rule, folder.data().columns[0])


def endings(folder: Folder) -> list[Step]:
    """The last phase of a run, or of each member of a join."""
    return [steps(one.recipe)[-1] for one in folder.members() or [folder]]


def shipped(endings: Sequence[Step], data: Dataset, rows: Sequence[Row]) -> list[Wanted]:
    """The fills in float32 that a finished model is measured with on some rows of a dataset."""
    return [one for step in endings for one in step.of(data).exact(rows)]


def trained_on(endings: Sequence[Step], data: Dataset, rows: Sequence[Row]) -> list[Wanted]:
    """The fills of such rows in the precision that the runs were trained in."""
    return [replace(one, rows=tuple(rows)) for step in endings for one in step.of(data).wanted]
