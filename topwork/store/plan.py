"""The plan of a run: for each phase the terms of its cut, what they freeze, and what they ask of the store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from topwork.cut import INPUT, Term
from topwork.data.dataset import Dataset
from topwork.errors import CutError, at
from topwork.networks.trunk import Trunk
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import NO_VIEWS, Phase
from topwork.store.extract import check
from topwork.store.request import Request


@dataclass(frozen=True)
class Step:
    """One phase as planned.

    Args:
        phase: of the recipe.
        terms: of its cut.
        requests: what its training reads, one for each term.
    """

    phase: Phase
    terms: tuple[Term, ...]
    requests: tuple[Request, ...]

    def trunks(self) -> list[Trunk]:
        """What is frozen, one trunk a term; the backbones' graphs must be known by now."""
        return [one.trunk for one in self._cut()]

    def _cut(self) -> list[Request]:
        """The requests at the cut's own terms: with live views, training reads pixels."""
        return [replace(one, term=term) for one, term in zip(self.requests, self.terms)]

    @property
    def opens(self) -> bool:
        """Whether layers of a backbone train, not the head alone."""
        if any(term.place == INPUT != term.end for term in self.terms):
            return True  # of a network that may not be known yet
        if all(term.place == term.end for term in self.terms):
            return False
        frozen = ("BatchNormalization",) if self.phase.batch_norm == "frozen" else ()
        return any(node.parameters and node.kind not in frozen for one in self.trunks() for node in one.above)

    def of(self, data: Dataset) -> "Step":
        """The same for the rows of a dataset."""
        return replace(self, requests=tuple(one.of(data) for one in self.requests))

    def exact(self, data: Dataset) -> list[Request]:
        """The requests in float32, and of no view but the first, that the shipped model is measured with on *data*."""
        return [replace(one, exact=True, views=NO_VIEWS).of(data) for one in self._cut()]


def steps(recipe: Recipe) -> list[Step]:
    """The phases, their words checked before a million pictures are read.

    Raises:
        UnknownBackbone, CutError: nothing of that name, freezes that conflict, or cuts that move away from the input.
    """
    found = unchecked(recipe)
    together = len(found) > 1 or len(found[0].terms) > 1
    for number, step in enumerate(found, 1):
        with at(f"phase.{number}.cut"):
            for term, one in zip(step.terms, step.requests):
                check(replace(one, term=term), together)
    if together:
        for number, step in enumerate(found, 1):
            with at(f"phase.{number}.cut"):
                check_freezes(step.terms, step.trunks())
        for number in range(1, len(found)):
            for before, after in zip(found[number - 1].trunks(), found[number].trunks()):
                if after.frontier.below & ~before.frontier.below:
                    raise CutError(
                        f"phase {number + 1} ({found[number].phase.cut}) freezes what phase {number} "
                        f"({found[number - 1].phase.cut}) may have trained: "
                        "cuts must move towards the input. Swap the two phases.",
                        f"phase.{number + 1}.cut",
                    )
    return found


def unchecked(recipe: Recipe) -> list[Step]:
    """The phases as their words say; nothing is looked up."""
    live = recipe.views.mode == "live" and recipe.views.count > 1
    found = []
    for phase in recipe.phases:
        terms = phase.terms
        requests = []
        for term in terms:
            read, shown = (replace(term, place=INPUT), NO_VIEWS) if live else (term, recipe.views)
            requests.append(Request(read, recipe.backbones[term.backbone], views=shown))
        found.append(Step(phase, terms, tuple(requests)))
    return found


def check_freezes(terms: Sequence[Term], trunks: Sequence[Trunk]) -> None:
    """Refuse terms that share layers, one backbone on one picture, and do not freeze the same of them.

    Raises:
        CutError: names the two.
    """
    for (a, one), (b, other) in combinations(zip(terms, trunks), 2):
        if (a.backbone, a.picture) == (b.backbone, b.picture):
            shared = one.graph.ancestors[one.end] & other.graph.ancestors[other.end]
            if (one.frontier.below ^ other.frontier.below) & shared:
                raise CutError(
                    f"'{a}' and '{b}' share layers of {a.backbone}, and one freezes what the other trains. "
                    "Freeze both up to the same place, or up to their ends."
                )
