"""The metadata of a run's exported files: what the run says of its model (`topwork.shipping.metadata`)."""

from dataclasses import asdict
from hashlib import sha256
from typing import Any

from topwork.networks.backbones import catalogue
from topwork.networks.fusion import Joined
from topwork.networks.model import Network
from topwork.networks.outputs.names import DISTANCE
from topwork.runs.folder import Folder
from topwork.shipping.metadata import Input
from topwork.version import FILE_FORMAT, VERSION


def inputs_of(folder: Folder, network: Network | Joined) -> list[Input]:
    """Return the inputs of the model of a run."""
    wanted = network.inputs
    names = [f"pixels_{number}" for number in range(1, len(wanted) + 1)] if len(wanted) > 1 else ["pixels"]
    # if any term of the cut names a picture, terms that name none take the first column
    unnamed = folder.data().columns[0] if any(picture for picture, _ in wanted) else None
    return [Input(name, picture or unnamed, fit) for name, (picture, fit) in zip(names, wanted)]


def about(folder: Folder, inputs: list[Input]) -> dict[str, Any]:
    """Return the metadata that all files of a run have."""
    accuracy = folder.results.accuracy if folder.is_finished else None
    folds = folder.results.folds if folder.is_finished else None
    join, distance = folder.recipe.join, folder.distance()
    learned = sorted(row.content for row in folder.learned)
    networks = [_network(member) for member in (folder.members if join else [folder])]
    return {
        "format": FILE_FORMAT,
        "labels": list(folder.data().classes),
        "inputs": [one.as_json() for one in inputs],
        **({"join": join.rule, "members": networks} if join else networks[0]),
        **({DISTANCE: {"threshold": distance.threshold, "accepted": distance.accepted}} if distance else {}),
        "training": {"pictures": len(learned), "sha256": sha256(" ".join(learned).encode()).hexdigest()},
        "scores": {"accuracy": accuracy and accuracy.as_json()} | ({"folds": folds} if folds else {}),
        "versions": {"topwork": VERSION, **folder.environment["packages"]},
    }


def _network(folder: Folder) -> dict[str, Any]:
    """Return the cut of a run, and its backbones with their licences."""
    backbones = {}
    for name, one in folder.recipe.backbones.items():
        if one.model:
            licence = "your own"
        else:
            entry = catalogue.record(one.name)
            licence = f"{entry.licence} ({entry.licence_note})" if entry.licence_note else entry.licence
        backbones[name] = asdict(one) | {"licence": licence}
    return {"cut": folder.recipe.phases[-1].cut, "backbones": backbones}
