"""The plan of a run: for each phase, the terms of its cut, the trunks that they freeze, and requests to the store."""

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
    """One planned phase.

    Args:
        phase: the phase in the recipe.
        terms: the terms of its cut.
        requests: the activations that its training reads, one request per term.
    """

    phase: Phase
    terms: tuple[Term, ...]
    requests: tuple[Request, ...]

    def trunks(self) -> list[Trunk]:
        """Return the frozen parts, one trunk per term; the graphs of the backbones must already be saved."""
        at_cut = [replace(one, term=term) for one, term in zip(self.requests, self.terms)]
        return [one.trunk for one in at_cut]  # with live views, the requests are at `input`

    @property
    def opens(self) -> bool:
        """Whether layers of a backbone are trained, in addition to the head."""
        if any(term.place == INPUT != term.end for term in self.terms):
            return True  # decided without the graph, which may not be saved yet
        if all(term.place == term.end for term in self.terms):
            return False
        frozen = ("BatchNormalization",) if self.phase.batch_norm == "frozen" else ()
        return any(node.parameters and node.kind not in frozen for one in self.trunks() for node in one.above)

    def of(self, data: Dataset) -> "Step":
        """Return the same step with requests for all rows of a dataset."""
        return replace(self, requests=tuple(one.of(data) for one in self.requests))

    def exact(self, data: Dataset) -> list[Request]:
        """Return the requests for measuring the shipped model on *data*: float32, with only view 0 of each picture."""
        at_cut = [replace(one, term=term, exact=True) for one, term in zip(self.requests, self.terms)]
        return [replace(one, views=NO_VIEWS).of(data) for one in at_cut]


def steps(recipe: Recipe) -> list[Step]:
    """Return the planned phases of a recipe; they are checked before any picture is read.

    Raises:
        UnknownBackbone, CutError: a name is unknown, freezes conflict, or cuts move away from the input.
    """
    found = unchecked(recipe)
    together = len(found) > 1 or len(found[0].terms) > 1
    for number, step in enumerate(found, 1):
        with at(f"phase.{number}.cut"):
            for term, one in zip(step.terms, step.requests):
                check(replace(one, term=term), together)
    if not together:
        return found

    for number, step in enumerate(found, 1):  # terms that share layers must freeze the same ones
        for (a, first), (b, second) in combinations(zip(step.terms, step.trunks()), 2):
            if (a.backbone, a.picture) == (b.backbone, b.picture):
                shared = first.graph.ancestors[first.end] & second.graph.ancestors[second.end]
                if (first.frontier.below ^ second.frontier.below) & shared:
                    raise CutError(
                        f"'{a}' and '{b}' share layers of {a.backbone}, and one freezes what the other trains. "
                        "Freeze both up to the same place, or up to their ends.",
                        f"phase.{number}.cut",
                    )

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
    """Return the planned phases of a recipe, unchecked."""
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
