"""The activations that a search reads: they are computed if the time allows, and kept in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from topwork.data.dataset import Dataset
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs.folder import Folder
from topwork.store.engines.local import Extraction
from topwork.store.examples import Examples, StoredActivations
from topwork.store.extract import Watch
from topwork.store.plan import steps
from topwork.store.precision import settled
from topwork.training.trainer import without

Parts = tuple[dict[str, Examples], list[list[str] | None]]
"""The activations of the parts ``"train"`` and ``"val"``, and the dtypes in which they are stored."""


class TooLong(Exception):
    """Running a network on all pictures takes longer than the time allows; the argument is how many seconds."""


class TooLarge(Exception):
    """The activations at a cut do not fit into memory."""


class Limited(Watch):
    """Shows the events of an extraction, and raises `TooLong` once it is clear that it exceeds a *limit* in seconds."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self._limit = limit

    def report(self, event: str, **about: Any) -> None:
        """Show one event."""
        super().report(event, **about)
        if event == "plan" and about.get("seconds", 0) > self._limit:
            raise TooLong(about["seconds"])
        if event == "progress" and about["done"] < about["total"]:
            expected = about["seconds"] * about["total"] / about["done"]
            if expected > self._limit:
                raise TooLong(expected)


@dataclass
class Supply:
    """The pictures of a search and their activations.

    Args:
        folder: the run.
        data: its pictures. Those that cannot be read are skipped when the first network has run.
        options: how the run is carried out.
    """

    folder: Folder
    data: Dataset
    options: Options
    paces: dict[str, float] = field(init=False, default_factory=dict)
    """For each network that ran, the seconds per picture up to its end."""
    told: set[str] = field(init=False, default_factory=set)
    """The paths of skipped pictures that were reported."""
    _parts: dict[tuple[str, int], Parts] = field(default_factory=dict)

    def settle(self, recipe: Recipe) -> Recipe:
        """Return the recipe of a head with a definite precision of its networks."""
        asked = [one for step in steps(recipe) for one in step.of(self.data).requests]
        with Watch() as watch:
            asked = settled(asked, watch.report, self.options.jobs)
        return replace(recipe, backbones={**recipe.backbones, **{one.backbone.name: one.backbone for one in asked}})

    def fill(self, recipe: Recipe, limit: float = inf) -> None:
        """Compute what the phases of a recipe read.

        Raises:
            TooLong: it takes more than *limit* seconds.
        """
        asked = [one for step in steps(recipe) for one in step.of(self.data).requests]
        with Limited(limit) as watch:
            with Extraction(asked, watch.report, self.options.jobs) as extraction:
                extraction.wait_all(range(len(asked)))
            if "extract" in watch.seconds:
                name = asked[-1].backbone.name
                shots = sum(len(one.shots) for one in asked)
                self.paces.setdefault(name, watch.seconds["extract"] / shots)
        with StoredActivations(asked) as stored:
            bad = stored.failures()
        self.data = without(bad, self.data, self.folder, self.options.strict, self.told)

    @contextmanager
    def stored(self, recipe: Recipe) -> Iterator[Parts]:
        """Yield the activations that the last phase of a recipe reads; they must have been computed."""
        with StoredActivations(steps(recipe)[-1].of(self.data).requests) as stored:
            found = {name: stored.examples(self.data.part(name), self.data.classes) for name in ("train", "val")}
            yield found, stored.dtypes

    def keep(self, recipes: Sequence[Recipe]) -> None:
        """Free the memory of all activations but those that the last phases of some recipes read."""
        keys = {(one.phases[-1].cut, one.views.count) for one in recipes}
        self._parts = {key: parts for key, parts in self._parts.items() if key in keys}

    def parts(self, recipe: Recipe) -> Parts:
        """Return the same activations in memory, as several tries read them in turn.

        Raises:
            TooLarge: they are too large for that.
        """
        key = recipe.phases[-1].cut, recipe.views.count
        if key not in self._parts:
            with self.stored(recipe) as found:
                self._parts[key] = found
        parts, _ = self._parts[key]
        if any(len(part) and source.kept is None for part in parts.values() for source in part.sources):
            raise TooLarge
        return self._parts[key]
