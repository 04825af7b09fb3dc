"""What runs need of topwork's home to be resumed, evaluated and exported without computing activations again.

A run whose recipe cannot be resolved any more (its weights are gone, or its network's graph, or Keras is another) needs
everything of the backbones that it names; one whose recipe cannot even be read needs everything. Nothing is fetched,
built or made to find out.
"""

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
    """Return the needs of every run that is registered and still in its place."""
    found = []
    for run in registry.runs():
        try:
            stands = (run / "recipe.toml").exists()
        except OSError:  # a folder that may not be looked into
            stands = True
        if stands:
            found.append(need(run))
    return found


def need(run: Path) -> Need:
    """Return what a run needs."""
    try:
        folder = Folder(run)
        keras = folder.environment["packages"].get("keras")
        asked = []
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
    """Return the paths of what is requested, whether they exist or not; ``None`` if that is not known."""
    try:
        graph = trunk.kept_graph(one.backbone) if pretrained.is_at_hand(one.backbone) else None
        below = one.trunk_in(graph) if graph else None
    except _UNREADABLE:
        return None
    if below is None or one.backbone.runtime == "auto" or below.backbone.precision == "auto":
        return None
    weights = (
        {random_weights.kept(one.backbone)} if one.backbone.weights == "random" and not one.backbone.model else set()
    )
    return {*folders_of(below, one.exact), *weights, below.converted.parent, trunk.graph_path(one.backbone)}
