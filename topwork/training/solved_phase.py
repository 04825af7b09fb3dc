"""Solve one phase: the linear head is the only part that trains, and it is solved; see `topwork.scoring.solver`.

The strength of the L2 term is chosen on a path from the strongest to the weakest. With `ENOUGH` validation pictures or
more, the validation loss decides. With fewer, or with none, the loss of an inner cross-validation of the training part
decides, because the loss of a few pictures says too little.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Self

import numpy as np

from topwork.data.dataset import Row
from topwork.networks.heads import LinearHead, class_logits
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Pooling, Training
from topwork.runs.journal import Epoch
from topwork.scoring.answers import scores
from topwork.scoring.solver import STRENGTHS, Problem, Trial, answers_by_folds, by_validation, inner_folds
from topwork.store.examples import Examples
from topwork.system.advice import either
from topwork.system.messages import Bar, counted, duration, say, size

ENOUGH = 200
"""From this number of validation pictures on, the validation loss chooses the strength."""

LARGEST = 1_000_000_000
"""The largest size of a solved phase's features in float32, in bytes. Solving takes three times as much memory."""

LONG = 5_000_000
"""With more numbers than this in the training features, a bar is shown."""

SAMPLE = 1000
"""The largest number of training pictures that are scored.

If there are validation pictures but fewer than this, their number is the limit.
"""

USUAL = 0.1
"""The strength if nothing can choose it: no validation pictures, and all training pictures belong together."""


@dataclass(frozen=True)
class InFolds:
    """The answers of heads in folds: each picture is answered by a head that did not learn from its fold.

    Args:
        parts: the parts of the pictures, one after the other, as in ``("train", "val")``.
        labels: int ``[n]``.
        folds: the fold of each picture, int ``[n]``.
        logits: float ``[n, classes]``.
    """

    parts: tuple[str, ...]
    labels: np.ndarray
    folds: np.ndarray
    logits: np.ndarray

    def divided(self, temperature: float) -> Self:
        """Return the same answers with logits that are divided by a number."""
        return replace(self, logits=self.logits / temperature)


@dataclass
class SolvedPhase:
    """A phase that is ready to be solved.

    Args:
        recipe: the recipe of the run.
        number: the number of the phase, from 1.
        rows: the rows of ``"train"`` and ``"val"``.
        examples: the activations of ``"train"`` and ``"val"``; ``"val"`` may be empty.
        classes: the number of classes.
        note: is called with each line of the journal: one for the head before the phase, then one per strength.
        new: the classes that the head before the phase was not trained on. If there are any, it is not kept.
    """

    recipe: Recipe
    number: int
    rows: Mapping[str, Sequence[Row]]
    examples: dict[str, Examples]
    classes: int
    note: Callable[[Epoch], None]
    new: Sequence[str] = ()
    kept: Epoch | None = field(init=False, default=None)
    in_folds: InFolds | None = field(init=False, default=None)
    """The answers in folds, if folds were needed."""
    _best: LinearHead | None = field(init=False, default=None)
    _scored: dict[str, tuple[np.ndarray, np.ndarray]] = field(init=False, default_factory=dict)
    _bar: Bar = field(init=False)
    _chosen: str = field(init=False, default="")
    _lines: int = field(init=False, default=0)
    _last: float = field(init=False, default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._bar = Bar(f"phase {self.number}")

    def run(self, begin: LinearHead | None) -> LinearHead:
        """Solve the phase. Return the head with the lowest validation loss, which may be *begin* (law 7; see *new*).

        Args:
            begin: the head before the phase; ``None``: a new head.
        """
        start = self._last
        head, phase, val = self.recipe.head, self.recipe.phases[self.number - 1], self.examples["val"]
        some = self.examples["train"].sample(min(len(val) or SAMPLE, SAMPLE), seed=0)
        for name, part in {"train": some, "val": val}.items():
            if len(part):
                self._scored[name] = part.vectors(np.arange(len(part)), head.pooling), part.labels
        outputs = 1 if self.recipe.training.loss == "binary" else self.classes
        features = self._scored["train"][0].shape[1]
        train = self.examples["train"]
        is_long = len(train) * train.views * features > LONG
        with self._bar if is_long else nullcontext():
            self._score(begin or LinearHead.new(features, outputs, head.batch_norm))

            problem, labels, folds = self._problem("train")
            can_fold = len(np.unique(folds)) > 1
            if phase.l2 == "auto" and (len(val) >= ENOUGH or (len(val) and not can_fold)):
                for trial, point in by_validation(problem, *self._scored["val"]):
                    self._score(problem.head(point, head.batch_norm), trial.l2)
            else:
                l2 = USUAL if phase.l2 == "auto" else phase.l2
                if phase.l2 == "auto" and can_fold:
                    l2 = self._by_folds(problem, labels, folds)
                    self._chosen = ", chosen in folds"
                elif len(val) < ENOUGH and can_fold:
                    for _, found in answers_by_folds(problem, labels, folds, [l2]):
                        self._keep(("train",), labels, folds, found)
                self._score(problem.head(problem.solve(l2), head.batch_norm), l2)
        self._tell(time.perf_counter() - start, is_new=begin is None)
        assert self.kept
        assert self._best
        if phase.refit and not len(val):
            say(f"phase {self.number}: refit = true has no effect, because there is no validation part.")
        if self.kept.l2 is None:
            self.in_folds = None  # other heads gave these answers
        if not phase.refit or self.kept.l2 is None or not len(val):
            return self._best

        problem, labels, folds = self._problem("train", "val")
        for trial, found in answers_by_folds(problem, labels, folds, [self.kept.l2]):
            self._keep(("train", "val"), labels, folds, found)
            self._write(l2=trial.l2, fold_loss=trial.loss, fold_accuracy=trial.accuracy, kept=True)
            loss = f"{trial.loss:.3f} in folds of both"
            say(f"phase {self.number}: solved again on the training and the validation part together (loss {loss})")
        return problem.head(problem.solve(self.kept.l2), head.batch_norm)

    def _by_folds(self, problem: Problem, labels: np.ndarray, folds: np.ndarray) -> float:
        """Return the strength with the lowest loss in folds, and keep its answers."""
        best: Trial | None = None
        for trial, found in answers_by_folds(problem, labels, folds):
            self._write(l2=trial.l2, fold_loss=trial.loss, fold_accuracy=trial.accuracy, kept=False)
            if best is None or trial.loss < best.loss:
                best = trial
                self._keep(("train",), labels, folds, found)
        assert best
        return best.l2

    def _keep(self, parts: tuple[str, ...], labels: np.ndarray, folds: np.ndarray, outputs: np.ndarray) -> None:
        self.in_folds = InFolds(parts, labels, folds[: len(labels)], class_logits(outputs))

    def _problem(self, *names: str) -> tuple[Problem, np.ndarray, np.ndarray]:
        """Return the rows of some parts, ready to be solved; the labels of their pictures; and the fold of each row.

        The rows of view 0 of all pictures come first, then those of the other views. The views of a picture together
        have the weight of one row.
        """
        parts = [self.examples[name] for name in names]
        labels = np.concatenate([part.labels for part in parts])
        starts = accumulate([len(part) for part in parts], initial=0)
        picture, views, blocks = [np.arange(len(labels))], np.ones(len(labels)), []
        for part in parts:
            blocks.append(part.vectors(np.arange(len(part)), self.recipe.head.pooling))
        for part, start in zip(parts, starts):
            if part.views > 1:
                own = np.arange(len(part))
                views[start + own] = part.views
                picture.append(np.tile(start + own, part.views - 1))
                others = np.arange(len(part), len(part) * part.views)
                blocks.append(part.vectors(others, self.recipe.head.pooling))
        of = np.concatenate(picture)
        targets = smoothed(labels, self.classes, self.recipe.training)
        weights = row_weights(labels, self.recipe.training) / views
        folds = inner_folds([row for name in names for row in self.rows[name]])
        widths = self.examples["train"].widths(self.recipe.head.pooling)
        return Problem(np.concatenate(blocks), targets[of], weights[of], widths), labels, folds[of]

    def _score(self, head: LinearHead, l2: float | None = None) -> None:
        """Score a head, write its line, and keep the head if it is the best so far."""
        found = {
            f"{part}_{name}": value
            for part, (features, labels) in self._scored.items()
            for name, value in scores(labels, head.logits(features)).items()
        }
        before = self.kept
        if before is None or (before.l2 is None and self.new):
            is_better = True
        else:
            is_better = before.val_loss is None or found["val_loss"] < before.val_loss
        line = self._write(l2=l2, **found, kept=is_better)
        if is_better:
            self.kept, self._best = line, head

    def _write(self, **measured: Any) -> Epoch:
        now = time.perf_counter()
        cut = self.recipe.phases[self.number - 1].cut
        line = Epoch(phase=self.number, cut=cut, epoch=self._lines, seconds=round(now - self._last, 4), **measured)
        self.note(line)
        self._bar.update(self._lines, len(STRENGTHS) + 1, "solving")
        self._lines, self._last = self._lines + 1, now
        return line

    def _tell(self, seconds: float, is_new: bool) -> None:
        kept, phase = self.kept, self.recipe.phases[self.number - 1]
        assert kept
        which = "the weights it started with, as no solution is better"
        if kept.l2 is not None:
            which = f"the solution with l2 = {kept.l2:.2g}{self._chosen}"
        scored = "" if kept.val_loss is None else f" (validation loss {kept.val_loss:.3f})"
        say(f"phase {self.number}, {phase.cut}: kept {which}{scored}, {duration(seconds)}")
        if kept.l2 is None and is_new:
            say(
                f"phase {self.number}: the head is not trained: on the "
                f"{counted(len(self.examples['val']), 'validation picture')}, no solution had a lower loss than equal "
                "probabilities for all classes. More validation pictures make this decision more certain."
            )
        ends = {STRENGTHS[0]: ("strongest", 10.0), STRENGTHS[-1]: ("weakest", 0.1)}
        if phase.l2 == "auto" and kept.l2 is not None and kept.l2 in ends:
            end, factor = ends[kept.l2]
            beyond = f"{kept.l2 * factor:.2g}"
            way = either(f"l2={beyond} of the Phase", f"--set phase.{self.number}.l2={beyond}")
            tried = f"l2 = {kept.l2:.2g} is the {end} strength that is tried"
            say(f"phase {self.number}: {tried}. One beyond it may be better: {way}")


def too_large(number: int, train: Examples, pooling: Pooling) -> bool:
    """Return whether a phase has more features than `LARGEST`, and report it."""
    rows, width = len(train) * train.views, sum(train.widths(pooling))
    if 4 * rows * width <= LARGEST:
        return False
    say(
        f"phase {number}: {rows:,} x {width:,} activations ({size(4 * rows * width)}) are too many to be solved at "
        "once: the head is trained in epochs."
    )
    return True


def smoothed(labels: np.ndarray, classes: int, training: Training) -> np.ndarray:
    """Return the targets of a loss with label smoothing, as Keras computes them: float32 ``[n, outputs]``.

    >>> smoothed(np.array([1]), 2, Training(label_smoothing=0.1))
    array([[0.05, 0.95]], dtype=float32)
    """
    share = np.float32(training.label_smoothing)
    if training.loss == "binary":
        return (labels[:, None] * (1 - share) + share / 2).astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels] * (1 - share) + share / classes


def row_weights(labels: np.ndarray, training: Training) -> np.ndarray:
    """Return the weight of each row, float64 ``[n]``: balanced weights and balanced sampling are the same here."""
    if "balanced" not in (training.class_weight, training.sampling):
        return np.ones(len(labels))
    counts = np.bincount(labels)
    return len(labels) / ((counts > 0).sum() * counts[labels])
