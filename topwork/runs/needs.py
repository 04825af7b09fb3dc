"""What runs need of topwork's home to be resumed, evaluated and exported without computing activations again.

A run whose recipe cannot be resolved any more (its weights are gone, or its network's graph, or Keras is another) needs
everything of the backbones that it names; one whose recipe cannot even be read needs everything. Nothing is fetched,
built or made to find out.
"""

from collections.abc import Iterator
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
    return [need(path) for path in registry.runs() if _stands(path)]


def _stands(run: Path) -> bool:
    try:
        return (run / "recipe.toml").exists()
    except OSError:  # a folder that may not be looked into
        return True


def need(run: Path) -> Need:
    """Return what a run needs."""
    try:
        folder = Folder(run)
        keras = folder.environment["packages"].get("keras")
        asked = []
        for member in folder.members or [folder]:
            lock = _lock(member)
            asked += [(one, _is_built_so(lock, one)) for one in _asked(plan.unchecked(member.recipe))]
    except _UNREADABLE:
        return Need(run, everything=True)
    found = [(one, _paths(one) if keras == version("keras") and is_same else None) for one, is_same in asked]
    sure = frozenset(path for _, paths in found for path in paths or ())
    doubtful = frozenset(one.backbone.name for one, paths in found if paths is None)
    models = frozenset(Path(one.backbone.model) for one, _ in asked if one.backbone.model)
    return Need(run, sure | models, doubtful | ({"pixels"} if doubtful else frozenset()))


def _lock(run: Folder) -> lockfile.Lock:
    """Return the lock of a run; empty if it is missing."""
    try:
        return lockfile.read(run)
    except RunError:
        return {}


def _is_built_so(lock: lockfile.Lock, one: Request) -> bool:
    """Whether topwork still builds the same network as when the run was trained."""
    entry = lock.get(one.backbone.name) or {}
    return entry.get("build", 0) in (0, builder.version_of(one.backbone))


def _asked(steps: list[plan.Step]) -> Iterator[Request]:
    """Yield every request of a run: those of its phases, and the exact ones of its test."""
    for step in steps:
        yield from step.requests
    yield from steps[-1].exact(NO_PICTURES)


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
