"""How long the steps of a search take: expected from the number of multiply-adds, then from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from topwork.recipes.recipe import Recipe
from topwork.scoring.answers import SAMPLE
from topwork.store.plan import Step, steps
from topwork.training.search.supply import Supply
from topwork.training.search.tries import Try

TRUNK, TOP = 20e9, 8e9
"""Multiply-adds per second of frozen and of trained layers, before they are measured (docs/log.md, 2026-11-29)."""

START = 8.0
"""The seconds that it takes to make a network and to compile its training step."""

CLOSING = 8.0
"""The seconds that the end of a run takes, apart from computing activations."""

SCORED = 1 / 3
"""Scoring a picture takes this share of the work of training on it: there is no backward pass."""


@dataclass
class Costs:
    """The expected times of tries.

    Args:
        supply: the pictures, and how fast the frozen layers ran.
        tries: the tries so far, by which trained layers are measured.
    """

    supply: Supply
    tries: Sequence[Try]

    def epoch(self, recipe: Recipe) -> float:
        """Return the expected seconds of an epoch of the opened layers."""
        own = [one.pace for one in self.tries if one.phase.cut == recipe.phases[-1].cut and one.pace]
        if own:
            return max(own)
        measured = [self._work(one.recipe) / one.pace for one in self.tries if one.pace]
        return self._work(recipe) / (min(measured) if measured else TOP)

    def start(self, recipe: Recipe) -> float:
        """Return the expected seconds before the first epoch."""
        return START + self.filling(recipe)

    def filling(self, recipe: Recipe) -> float:
        """Return the expected seconds in which the frozen layers run on the pictures that the store lacks."""
        found = 0.0
        for step in steps(recipe):
            missing = max(len(one.missing()) for one in step.of(self.supply.data).requests)
            found += missing * self._per_picture(step)
        return found

    def closing(self, recipe: Recipe) -> float:
        """Return the expected seconds from the end of the search to the tested run."""
        tested = min(SAMPLE, len(self.supply.data.part("test")))
        return CLOSING + 2 * tested * self._per_picture(steps(recipe)[-1])  # in float32, which is slower

    def _per_picture(self, step: Step) -> float:
        """Return the expected seconds in which the frozen layers of a phase run on a picture."""
        found = 0.0
        for trunk in step.trunks():
            nodes = [trunk.graph.nodes[i] for i in range(len(trunk.graph.nodes)) if trunk.frontier.below >> i & 1]
            pace = self.supply.paces.get(trunk.backbone.name)
            found += sum(node.macs for node in nodes) / TRUNK if pace is None else pace
        return found

    def _work(self, recipe: Recipe) -> float:
        """Return the multiply-adds of an epoch. A backward pass takes as much as two forward passes."""
        above = sum(node.macs for one in steps(recipe)[-1].trunks() for node in one.above)
        scored = 2 * len(self.supply.data.part("val"))  # as many training pictures are scored
        return 3 * above * (len(self.supply.data.part("train")) + SCORED * scored)
