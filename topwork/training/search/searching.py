"""Carry out a search: solve a head per network, open layers of the best ones, and leave a run like any other.

Heads come first, because they take seconds. Then layers are opened above several places, with several settings, by
successive halving (`topwork.training.search.plan`). The validation part chooses; the test part is used once, at the
end. What is found is an ordinary recipe, and `topwork.training.trainer.Course` finishes the run as if it had trained
it.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from topwork.cut import POOL, Cut, Term
from topwork.data.dataset import Dataset
from topwork.errors import DatasetError, UsageError
from topwork.networks.fusion import softmax
from topwork.networks.weights import official, pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs import lockfile
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.folder import Folder
from topwork.runs.search import tried
from topwork.runs.search.decisions import Decisions, Over
from topwork.scoring.answers import Solved
from topwork.scoring.choosing import candidates
from topwork.scoring.metrics import losses
from topwork.scoring.results import searched
from topwork.shipping.checking import trial_export
from topwork.store.plan import steps
from topwork.store.runtimes import base
from topwork.system.advice import either
from topwork.system.messages import counted, duration, say, shown
from topwork.training.prepare import made
from topwork.training.search import outcome
from topwork.training.search.clock import Clock
from topwork.training.search.costs import Costs
from topwork.training.search.openings import Openings, head_of, recipe_of
from topwork.training.search.supply import Supply, TooLong
from topwork.training.search.tries import OutOfTime, Try
from topwork.training.solved_phase import SolvedPhase
from topwork.training.trainer import Course, hint

FILLING = 0.25
"""The share of the time left that one run of a further network on all pictures may take."""


def prepared(data: Any, recipe: Recipe, origin: Folder | None, options: Options) -> "Searching":
    """Make the folder of a new run that searches, and return the search; nothing is computed.

    Raises:
        UsageError: no network can be compared, or there are callbacks.
        DatasetError: there is no validation part.
    """
    assert recipe.search
    if origin or options.callbacks:
        word = either("parent", "--from") if origin else "the callbacks"
        raise UsageError(f"a search trains many models from the beginning: omit {word}.")
    start = time.perf_counter()
    cuts = [Cut.parse(cut) for cut in recipe.search.cuts]
    networks = list(recipe.backbones.values()) or candidates.networks(cuts)
    recipe = replace(recipe, backbones={one.name: base.resolved(pretrained.on_disk(one)) for one in networks})
    folder, rows = made(data, recipe, [], None, options)
    if not rows.part("val"):
        folder.abandon()
        raise DatasetError("a search compares its tries on the validation part, but the data has no validation part.")
    return Searching(folder, folder.recipe, rows, options, start)


@dataclass
class Searching:
    """A search that is being carried out, or continued.

    Args:
        folder: the run.
        recipe: its recipe, with the search.
        data: its pictures.
        options: how it is carried out.
        start: when it began, by ``time.perf_counter``: reading the pictures counts.
    """

    folder: Folder
    recipe: Recipe
    data: Dataset
    options: Options
    start: float = field(default_factory=lambda: time.perf_counter())
    better: str = field(init=False, default="")
    _count: int = field(init=False, default=0)

    def run(self, resumed: bool = False) -> None:
        """Search, and finish the run with the best that was found."""
        with self.folder.held(), hint(self.folder):
            place = self.folder.path / "search"
            place.mkdir(exist_ok=True)
            assert self.recipe.search
            self.clock = Clock(self.recipe.search.minutes, place / "clock.json", start=self.start)
            self.decisions = Decisions(place / "decisions.jsonl")
            self.supply = Supply(self.folder, self.data, self.options)
            if resumed:
                say(f"{self.folder.path} continues: {duration(self.clock.spent)} of the search have passed.")
            course, state = self._searched()
            course.carry_out(state)
            for note in searched(self.folder, self.folder.results.test):
                say(note)
            for one in [*self.heads, *self.openings.tries]:
                shutil.rmtree(one.checkpoints.folder, ignore_errors=True)

    def _searched(self) -> tuple[Course, State | None]:
        """Try until the time is over or nothing is left; return the run of the best try, ready to be finished."""
        assert self.recipe.search
        cuts = [Cut.parse(cut) for cut in self.recipe.search.cuts]
        self.heads: dict[Try, Solved] = {}
        self.openings = Openings(self.supply, self.clock, self.decisions, [], self._new, self._solve_one)
        try:
            self._solve(cuts)
            self.openings.heads = self._ranked()
            why = self.openings.run(cuts)
        except (OutOfTime, Over):
            why = "the time was used"
        except KeyboardInterrupt:
            if not self.heads:
                raise
            say("The search stops, and the run is finished with the best so far.")
            why = "Ctrl-C"
        why = self.decisions.end(why)
        say(f"The search ended after {duration(self.clock.spent)}: {why}.")
        best = self._best()
        tries, untried = [*self.heads, *self.openings.tries], self.openings.untried
        rows = outcome.listed(tries, untried, len(self.supply.data.part("val")), best, why)
        tried.write(self.folder.path, rows)
        say(outcome.table(rows))
        if untried:
            self.better = f"{len(untried)} ways to open layers were not tried; more minutes may find a better one."
            say(f"{len(untried)} more ways to open layers were not tried; search.csv lists them.")
        return self._adopted(best)

    def _new(self, recipe: Recipe) -> Try:
        self._count += 1
        return Try(self._count, recipe, self.folder.path / "search" / f"{self._count:02}")

    def _solve(self, cuts: Sequence[Cut]) -> None:
        """Solve the head of each network as far as the time allows: of the default one, then of the cheapest first.

        Raises:
            UsageError: not even one network can run on all pictures within the time.
        """
        backbones = self.recipe.backbones
        candidates.learn(backbones.values())
        wanted = list(dict.fromkeys(map(head_of, cuts))) or [Cut((Term(name, POOL, POOL),)) for name in backbones]
        costs = {}
        for cut in wanted:
            recipe = self.supply.settle(recipe_of(self.recipe, cut))
            macs = sum(node.macs for trunk in steps(recipe)[0].trunks() for node in trunk.graph.nodes)
            costs[cut] = official.DEFAULT not in cut.backbones, macs, recipe
        times = {}
        for cut in sorted(wanted, key=lambda one: costs[one][:2]):
            _, _, recipe = costs[cut]
            limit = FILLING * self.clock.left if self.heads else self.clock.left
            times[cut] = self.decisions.made("head", partial(self._fill, recipe, limit))
            if times[cut]:
                took = duration(times[cut])
                say(f"{cut} is not tried: running it on all pictures takes about {took}, too much of the time left.")
            else:
                self._solve_one(recipe)
        if not self.heads:
            cut = min(wanted, key=times.__getitem__)
            least = f"{max(0.1, times[cut] / 60 / 0.8):.1f}"
            raise UsageError(
                f"the time is too short: one run of {cut} on all pictures takes about {duration(times[cut])}. What was "
                f"computed stays in the store. Use at least {either(f'minutes={least}', f'--minutes {least}')}.",
                "search.minutes",
            )

    def _solve_one(self, recipe: Recipe) -> None:
        """Solve a head, again if it was solved before the search was interrupted, to the same bits."""
        self.supply.fill(recipe)
        one = self._new(recipe)
        if not self.heads:
            trial_export.check(recipe, len(self.supply.data.classes))
        one.journal.path.unlink(missing_ok=True)
        data = self.supply.data
        with self.supply.stored(one.recipe) as (parts, _), shown(False):
            rows = {name: data.part(name) for name in parts}
            head = SolvedPhase(one.recipe, 1, rows, parts, len(data.classes), one.journal.note).run(None)
        self.heads[one] = Solved(head, recipe.head.pooling)
        self.openings.heads.append((one, self.heads[one]))
        line = one.kept
        views = f" on {one.views} views" if one.views > 1 else ""
        scored = f"validation loss {line.val_loss:.3f}, accuracy {line.val_accuracy:.3f}"
        say(f"{one.number}. {one.phase.cut}, the head solved{views}: {scored}")
        self.clock.save()

    def _fill(self, recipe: Recipe, limit: float) -> float:
        """Run a network on all pictures; return 0, or how many seconds it would take if that is more than the limit."""
        expected = Costs(self.supply, ()).filling(recipe)
        if expected > limit:
            return expected
        try:
            self.supply.fill(recipe, limit)
        except TooLong as error:
            return float(error.args[0])
        return 0.0

    def _ranked(self) -> list[tuple[Try, Solved]]:
        """Return the heads, the lowest loss first.

        With few validation pictures, all pictures that a head did not learn from count: those of folds, too.
        """
        data = self.supply.data
        train, val = len(data.part("train")), len(data.part("val"))
        rows = {one: outcome.listed([one], [], val)[0] for one in self.heads}
        scores = {one: outcome.held_out(row.loss, row.fold_loss, val, train) for one, row in rows.items()}
        return sorted(self.heads.items(), key=lambda pair: scores[pair[0]])

    def _best(self) -> Try:
        """Return the try that the run keeps: the best head, unless opened layers are better beyond chance."""
        head, solved = self._ranked()[0]
        opened = [one for one in self.openings.tries if one.lines and one.kept.epoch and one.final()]
        if not opened:
            return head
        lowest = min(opened, key=lambda one: (one.loss_at(one.kept.epoch), one.number))
        best = outcome.regular(lowest, opened, self.openings.losses)
        if best is not lowest:
            say(f"Try {best.number} has views, and is as good as {lowest.number} within chance, so it is kept.")
        after = self.openings.losses(best)
        with self.supply.stored(head.recipe) as (parts, _):
            labels = parts["val"].labels
            features = parts["val"].vectors(np.arange(len(labels)), head.recipe.head.pooling)
        before = losses(labels, softmax(solved.head.logits(features)))
        if outcome.supports(before, after, len(opened)):
            return best
        gain = f"{before.mean():.3f} to {after.mean():.3f} on {counted(len(labels), 'validation picture')}"
        say(f"Opened layers change the loss from {gain}. Chance may explain that, so the head alone is kept.")
        return head

    def _adopted(self, best: Try) -> tuple[Course, State | None]:
        """Make the best try the run's own: recipe, journal and checkpoint."""
        recipe, state = best.explicit(), best.final() if best.is_opened else None
        head = next(one for one in self.heads if (one.phase, one.recipe.views) == (recipe.phases[0], recipe.views))
        epochs = recipe.phases[-1].iteration.epochs  # without those after the end of its last complete cycle
        opened = [line for line in best.lines if line.epoch <= epochs]
        lines = [*head.lines, *opened] if state else []
        self.folder.journal.path.unlink(missing_ok=True)
        for line in lines:
            self.folder.journal.note(line)
        lockfile.settle(self.folder)
        lockfile.write(self.folder.path, lockfile.known(recipe))
        self.folder.keep_recipe(recipe)
        if state:
            about = {**state.about, "epoch": epochs, "files": self.folder.digests()}
            Checkpoints(self.folder.path / "checkpoints").write(State(about, state.arrays))
        data = self.supply.data
        planned = [step.of(data) for step in steps(recipe)]
        course = Course(self.folder, recipe, data, planned, self.options, self.supply.told, before=self.clock.spent)
        return course, state
