"""The files in topwork's home that runs need to be resumed, evaluated and exported without repeating computations.

Sometimes topwork cannot tell which files a run needs, because its weights or its network's graph are missing, or the
version of Keras has changed. Such a run needs every file of its backbones. A run needs every file of topwork's home if
its recipe cannot be read. To find out what is needed, nothing is downloaded, built or created.
"""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from topwork.errors import RunError, TopworkError
from topwork.networks import trunk
from topwork.networks.backbones import builder
from topwork.networks.weights import pretrained, random_weights
from topwork.runs import lockfile, registry
from topwork.runs.folder import Folder
from topwork.store import plan
from topwork.store.request import NO_PICTURES, Request, folders_of
from topwork.store.upkeep.inventory import Need

_UNREADABLE = (TopworkError, OSError, ValueError, KeyError, TypeError)
"""Errors that reading missing or changed files raises."""


def needs() -> list[Need]:
    """Return the needs of every registered run that still exists at its path."""
    found = []
    for run in registry.runs():
        try:
            stands = (run / "recipe.toml").exists()
        except OSError:  # no permission to look into the folder
            stands = True
        if stands:
            found.append(need(run))
    return found


def need(run: Path) -> Need:
    """Return what a run needs in topwork's home."""
    try:
        folder = Folder(run)
        keras = folder.environment["packages"].get("keras")
        asked = []
        if folder.recipe.search:  # it is not known yet which cuts it will use
            models = frozenset(Path(one.model) for one in folder.recipe.backbones.values() if one.model)
            return Need(run, models, frozenset([*folder.recipe.backbones, "pixels"]))
        for member in folder.members or [folder]:
            try:
                lock = lockfile.read(member)
            except RunError:
                lock = {}
            phases = plan.unchecked(member.recipe)
            requests = [one for step in phases for one in step.requests]
            for one in [*requests, *phases[-1].exact(NO_PICTURES)]:
                build = (lock.get(one.backbone.name) or {}).get("build", 0)
                asked.append((one, build in (0, builder.version_of(one.backbone))))
    except _UNREADABLE:
        return Need(run, everything=True)
    found = [(one, _paths(one) if keras == version("keras") and is_same else None) for one, is_same in asked]
    sure = frozenset(path for _, paths in found for path in paths or ())
    doubtful = frozenset(one.backbone.name for one, paths in found if paths is None)
    models = frozenset(Path(one.backbone.model) for one, _ in asked if one.backbone.model)
    return Need(run, sure | models, doubtful | ({"pixels"} if doubtful else frozenset()))


def _paths(one: Request) -> set[Path] | None:
    """Return the paths that a request needs, whether they exist or not; ``None`` if they are not known."""
    try:
        graph = trunk.kept_graph(one.backbone) if pretrained.is_at_hand(one.backbone) else None
        below = one.trunk_in(graph) if graph else None
    except _UNREADABLE:
        return None
    if below is None or one.backbone.runtime == "auto":
        return None
    trunks = [below]
    if below.backbone.precision == "auto":  # the run ended before it was decided
        backbone = below.backbone
        trunks = [replace(below, backbone=replace(backbone, precision=each)) for each in ("bfloat16", "float32")]
    stores = {folder for each in trunks for folder in folders_of(each, one.exact)}
    weights = (
        {random_weights.kept(one.backbone)} if one.backbone.weights == "random" and not one.backbone.model else set()
    )
    return {*stores, *weights, below.converted.parent, trunk.graph_path(one.backbone)}
