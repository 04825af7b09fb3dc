"""Open layers of the best networks, with several settings; the better half of the tries train further.

What comes next depends on the time that is left. It is a decision that is written down, so that a search that continues
does the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from topwork.cut import POOL, Cut, Term
from topwork.errors import StoreError
from topwork.networks.fusion import softmax
from topwork.networks.places import graph_of, places
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.runs.checkpoints import State
from topwork.runs.journal import Epoch
from topwork.runs.search.decisions import Decisions
from topwork.scoring.answers import Solved, logits
from topwork.scoring.intervals import Z
from topwork.scoring.metrics import losses
from topwork.store.plan import steps
from topwork.system import keras_settings
from topwork.system.messages import duration, say, shown
from topwork.training.prepare import completed
from topwork.training.search.clock import Clock
from topwork.training.search.costs import Costs
from topwork.training.search.plan import WARM_UP, Opening, grid, rungs
from topwork.training.search.supply import Supply, TooLarge, TooLong
from topwork.training.search.tries import OutOfTime, Try, without_views
from topwork.training.trainer import begun

if TYPE_CHECKING:
    from topwork.training.iteration.phase import PhaseTraining

NETWORKS = 2
"""Layers are opened in at most this many networks, those with the best heads."""

FIRST = 0.15
"""The share of the time that the first try may take for a cycle of two epochs; else its cycle is one epoch."""

SPARE = 0.9
"""The share of the time left that the next step may take: epochs may take longer than before."""

AHEAD = 6
"""How many of the ways that were not tried yet are considered next."""

MANY = 4
"""After this many tries, the settings of the best are tried with views."""

NEW, TRY = "new", "try"

LIVE = 3
"""How many tries stay in memory while they wait."""

GAIN = 0.01
"""A search ends if the upper end of the interval of its best loss is below this, in nats."""

VIEWS = 4
"""The number of views per training picture, where a search tries views."""


def head_of(cut: Cut) -> Cut:
    """Return the cut at which only the head trains.

    >>> str(head_of(Cut.parse("x@a")))
    'x@pool'
    """
    return Cut(tuple(replace(term, place=term.end) for term in cut.terms))


def recipe_of(base: Recipe, cut: Cut, opened: Phase | None = None) -> Recipe:
    """Return the recipe of a try: the head of a cut and, if given, the phase that opens layers."""
    phases = (Phase(str(head_of(cut))), *([opened] if opened else []))
    used = {name: base.backbones[name] for name in cut.backbones}
    with shown(False):
        return completed(replace(base, search=None, phases=phases, backbones=used).checked(), head_first=False)


def promoted(tries: Sequence[Try], ends: Sequence[int]) -> Try | None:
    """Return the try that trains further by asynchronous successive halving; ``None``: none, and a new one begins.

    At the end of each cycle, the better half of the tries that came there train further; the longest cycles come first
    (Li et al. 2020, arXiv:1810.05934; successive halving is from Jamieson and Talwalkar 2016, arXiv:1502.07943). A try
    with views trains as far as the same settings without views, because views slow the first epochs down: their
    validation loss was twice as high after 2 and 6 epochs and as low after 30 (docs/log.md, 2026-11-29).
    """
    for one in tries:
        if not one.ended and 0 < one.epochs < max((plain.epochs for plain in without_views(one, tries)), default=0):
            return one
    for end in reversed(ends[:-1]):
        there = sorted((one for one in tries if one.epochs >= end), key=lambda one: (one.loss_at(end), one.number))
        for one in there[: len(there) // 2]:
            if one.epochs == end and not one.ended:
                return one
    return None


@dataclass
class Openings:
    """The opened tries of a search.

    Args:
        supply: the pictures and their activations.
        clock: the time.
        decisions: what was decided by it.
        heads: the heads of the networks, the best first.
        new: makes the try of a recipe.
        solve: solves the head of a recipe, which becomes one of *heads*.
    """

    supply: Supply
    clock: Clock
    decisions: Decisions
    heads: list[tuple[Try, Solved]]
    new: Callable[[Recipe], Try]
    solve: Callable[[Recipe], None]
    tries: list[Try] = field(init=False, default_factory=list)
    untried: list[Opening] = field(init=False, default_factory=list)
    _known: dict[tuple[int, int], np.ndarray] = field(init=False, default_factory=dict)

    def run(self, cuts: Sequence[Cut]) -> str:
        """Try; return why it ended.

        Args:
            cuts: above which layers are opened; empty: above several places of the best networks.

        Raises:
            OutOfTime: the time is over.
        """
        self.costs = Costs(self.supply, self.tries)
        self.untried = list(grid(self._places(cuts), self.heads[0][0].recipe.views.count))
        if not self.untried:
            return "there are no layers to open"
        recipe = self._recipe(self.untried[0], 1)
        self.clock.reserve = self.costs.closing(recipe)
        two = self.costs.start(recipe) + 2 * self.costs.epoch(recipe)
        self._first = self.decisions.made("first", lambda: 2 if two < FIRST * self.clock.left else 1)
        self._ends = rungs(self._first)
        has_views = self.untried[0].views > 1
        while True:
            what, number, until = self.decisions.made("next", self._next)
            if what == NEW:
                self._begin(self.untried.pop(number), until)
            elif what == TRY:
                self._train(next(one for one in self.tries if one.number == number), until)
            else:
                return what
            if len(self.tries) == MANY and not has_views:
                has_views = True
                best = [one.phase for one in self._better()[:1]]
                ways = [(one.cut, one.batch_norm, one.iteration.learning_rate) for one in best]
                ways = self.decisions.made("views", partial(list, ways))
                self.untried[:0] = [Opening(*way, VIEWS) for way in ways]
            live = self._waiting()[:LIVE]
            for one in self.tries:
                if one not in live:
                    one.close()
            self.supply.keep([one.recipe for one in live])

    def _next(self) -> tuple[str, int, int]:
        """Return what to do: `NEW` or `TRY`, which, and until which epoch; or why the search ends."""
        for one in self._better()[:1]:
            if one.loss_at(one.kept.epoch) < GAIN:
                found = self.losses(one)
                if found.mean() + Z * found.std() / len(found) ** 0.5 < GAIN:
                    return "there is nothing left to gain", 0, 0
        times: dict[tuple[str, int], float] = {}
        for one in self._waiting():
            times[TRY, one.number] = self._cycle(one) * self.costs.epoch(one.recipe)
        for place, way in enumerate(self.untried[:AHEAD]):
            recipe = self._recipe(way, self._first)
            times[NEW, place] = self.costs.start(recipe) + self._first * self.costs.epoch(recipe)
        left = SPARE * self.clock.left
        fitting = {what: time for what, time in times.items() if time < left}
        if not fitting:
            short = f"the next step takes about {duration(min(times.values(), default=0))}, more than is left"
            return short if times else "everything was tried", 0, 0

        new = next((what for what in fitting if what[0] == NEW), None)
        further = promoted(self.tries, self._ends)
        wanted = (TRY, further.number) if further else new
        leader = self._waiting()[0] if self._waiting() else None
        best = (TRY, leader.number) if leader else new
        catches_up = further is not None and without_views(further, self.tries)
        is_last = best in fitting and wanted in fitting and fitting[wanted] + fitting[best] > left
        if wanted not in fitting or (is_last and not catches_up):
            wanted = best  # the last thing to do is to train the best further
        what, number = wanted if wanted in fitting else next(iter(fitting))
        untils = {one.number: one.epochs + self._cycle(one) for one in self._waiting()}
        return what, number, self._first if what == NEW else untils[number]

    def _waiting(self) -> list[Try]:
        """Return the tries that may train further, the best first."""
        found = [one for one in self.tries if not one.ended and 0 < one.epochs < self._ends[-1]]
        return sorted(found, key=lambda one: (one.loss_at(one.epochs), one.number))

    def _cycle(self, one: Try) -> int:
        """Return the number of epochs to the end of the next cycle."""
        return next(end for end in self._ends if end > one.epochs) - one.epochs

    def _better(self) -> list[Try]:
        """Return the tries that improved on their head, the best first."""
        improved = (one for one in self.tries if one.lines and one.kept.epoch)
        return sorted(improved, key=lambda one: (one.loss_at(one.kept.epoch), one.number))

    def _places(self, cuts: Sequence[Cut]) -> list[list[Cut]]:
        """Return, for each network, the cuts above which layers are opened; the place in the middle comes first."""
        found = []
        for head, _ in self.heads[:NETWORKS]:
            own = Cut.parse(head.phase.cut)
            some = [cut for cut in cuts if head_of(cut) == own and cut != own]
            if not cuts:
                (term,) = own.terms
                late, *others = places(graph_of(head.recipe.backbones[term.backbone]))
                some = [Cut((Term(term.backbone, place, POOL),)) for place in (*others[:1], late, *others[1:])]
            found.append(some)
        return found

    def losses(self, one: Try) -> np.ndarray:
        """Return the loss of each validation picture with the best weights of a try, float64 ``[n]``."""
        key = one.number, one.kept.epoch
        if key not in self._known:
            training = one.live(partial(self.phase, one))
            last = training.network.values()
            training.network.load(training.keeper.best)
            parts, _ = self.supply.parts(one.recipe)
            found = softmax(logits(training.model, parts["val"]))
            training.network.load(last)
            self._known[key] = losses(parts["val"].labels, found)
        return self._known[key]

    def _begin(self, opening: Opening, until: int) -> None:
        recipe = self._recipe(opening, self._first)
        if not any(_is_head(head, recipe) for head, _ in self.heads):
            self.solve(replace(recipe, phases=recipe.phases[:1]))
        one = self.new(recipe)
        self.tries.append(one)
        one.ended = self.decisions.made("fill", partial(self._filled, one))
        if not one.ended:
            self._train(one, until)

    def _filled(self, one: Try) -> str:
        """Compute what a try reads; return why not, if that is impossible."""
        try:
            self.supply.fill(one.recipe, self.clock.left)
            self.supply.parts(one.recipe)
        except TooLong:
            return "the time was used"
        except TooLarge:
            return "its activations do not fit into memory"
        except StoreError as error:
            return str(error)
        return ""

    def _recipe(self, opening: Opening, first: int) -> Recipe:
        """Return the recipe of a try, with cycles of which the first has *first* epochs; it does not stop early."""
        cut = Cut.parse(opening.cut)
        head = next(head for head, _ in self.heads if Cut.parse(head.phase.cut) == head_of(cut))
        views = head.recipe.views
        if views.count != opening.views:
            views = replace(views, count=opening.views, flip="none")  # a mirrored digit may be none
        base = replace(head.recipe, views=views)
        opened = Phase(
            opening.cut,
            epochs=rungs(first)[-1],
            learning_rate=opening.learning_rate,
            batch_norm=opening.batch_norm,
            schedule="restarts",
            cycle_epochs=first,
            warmup_epochs=WARM_UP * first,
            patience=0,
        )
        return recipe_of(base, cut, opened)

    def _train(self, one: Try, until: int) -> None:
        """Train a try to the end of a cycle, unless the search had ended before it was interrupted."""
        if self.decisions.has_ended:
            return
        self.clock.reserve = self.costs.closing(one.recipe)
        _, dtypes = self.supply.parts(one.recipe)
        before = one.epochs
        try:
            one.train(until, partial(self.phase, one), dtypes, self.clock)
        except OutOfTime:
            one.ended = "the time was used"
            raise
        finally:
            last = one.scored
            if last.epoch > before:
                views = f", {one.views} views" if one.views > 1 else ""
                norm = "trained" if one.phase.batch_norm == "train" else "frozen"
                about = f"batch-norm {norm}, rate {one.phase.learning_rate:g}{views}"
                scored = f"validation loss {last.val_loss:.3f}, accuracy {last.val_accuracy:.3f}"
                say(f"{one.number}. {one.phase.cut}, {about}: epoch {last.epoch}, {scored}")

    def phase(self, one: Try, state: State | None) -> "PhaseTraining":
        """Begin the phase of a try, or restore it from a checkpoint."""
        keras_settings.import_keras()
        from topwork.training.iteration.phase import PhaseTraining

        last = steps(one.recipe)[-1]
        solved = next(solved for head, solved in self.heads if _is_head(head, one.recipe))
        classes = len(self.supply.data.classes)
        network = begun(one.recipe, last, classes)
        network.load(network.values() | solved.values())
        parts, _ = self.supply.parts(one.recipe)

        def note(line: Epoch) -> None:
            one.journal.note(line)
            self.clock.save()

        training = PhaseTraining(one.recipe, 2, network, last.trunks(), parts, classes, f"try {one.number}")
        training.begin(note, state)
        return training


def _is_head(head: Try, recipe: Recipe) -> bool:
    return (head.phase, head.recipe.views) == (recipe.phases[0], recipe.views)
