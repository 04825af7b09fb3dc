"""K-fold cross-validation: one run per fold, and every picture is tested once.

The activations of all pictures are stored once, for all folds. The folder of a cross-validation contains the run
folders ``fold-1``, ``fold-2`` and so on; ``final``, a run that learns from all pictures, for use; and the answers of
the folds together: ``results.json``, ``predictions.csv``, ``wrong.csv`` and the plots. All run folders are created
before the first run is trained, so that an interrupted cross-validation can be continued.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.folds import folds, undivided
from topwork.data.holdout import say_again
from topwork.data.notebook import with_answers
from topwork.data.readers import read_by
from topwork.data.reading import run_files
from topwork.errors import RunError, TopworkError, UsageError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options, Search
from topwork.runs import registry
from topwork.runs.creation import fresh, making
from topwork.runs.folder import FINAL, Folder, folds_in
from topwork.runs.moved_pictures import unchanged
from topwork.runs.predictions import Exam, refuse_unfinished
from topwork.runs.scores import FoldResults
from topwork.scoring import metrics
from topwork.scoring.answers import Answers
from topwork.scoring.drawing import Pencil
from topwork.scoring.evaluate import Evaluation, pooled
from topwork.scoring.results import keep, warned
from topwork.store.engines.local import begin, one_worker
from topwork.store.plan import steps
from topwork.store.remembered import Remembered
from topwork.system.advice import either
from topwork.system.files import written_whole
from topwork.system.keras_settings import ours
from topwork.system.messages import counted, duration, say, with_progress
from topwork.system.text import as_json
from topwork.training import next_steps
from topwork.training.prepare import chosen, completed, prepared, refuse_misplaced
from topwork.training.run import Run
from topwork.training.search import searching
from topwork.training.train import refuse_early
from topwork.training.trainer import Course, requests

if TYPE_CHECKING:
    import keras


LAST = "final: the model for use, with a tenth of all pictures for validation; its score is that of the folds"
LEAST = 0.5
"""A search within a fold has at least this many minutes."""


class Folds:
    """Open the folder of a cross-validation.

    Args:
        path: the folder.

    Raises:
        RunError: the folder is not a cross-validation.

    Example:
        >>> found = Folds("runs/flowers-folds")  # doctest: +SKIP
        >>> found.results.folds  # doctest: +SKIP
        [0.82, 0.84, 0.79, 0.85, 0.83]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not folds_in(self.path):
            raise RunError(f"{str(path)!r} is not a cross-validation: expected fold-1, fold-2 and so on in it.")

    def __repr__(self) -> str:
        return f"Folds({str(self.path)!r})"

    def _repr_html_(self) -> str:
        is_finished = (self.path / "results.json").exists()
        return with_answers(repr(self), self.results._repr_html_() if is_finished else "", self.path)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, one per fold."""
        return tuple(map(Run, folds_in(self.path)))

    @property
    def final(self) -> Run:
        """The run on all pictures.

        Raises:
            RunError: the cross-validation was made without this run.
        """
        return Run(self.path)

    @property
    def results(self) -> FoldResults:
        """The combined results of all folds.

        Raises:
            RunError: the cross-validation has not finished.
        """
        refuse_unfinished(self.path)
        with run_files.reading(self.path / "results.json") as path:
            return FoldResults.from_json(run_files.table(path))

    @with_progress
    def evaluate(
        self,
        what: Any = "test",
        *,
        data: Any = None,
        csv: str | Path | None = None,
        out: str | Path | None = None,
        progress: bool = True,
    ) -> Evaluation:
        """Measure: the folds together on what they tested, or the run on all pictures on other data.

        The arguments are those of `topwork.scoring.evaluate.evaluate`.
        """
        if isinstance(what, str) and what == "test":
            return pooled(self.path, Path(csv) if csv else None, Path(out) if out else None)
        return self.final.evaluate(what, data=data, csv=csv, out=out)

    @ours()
    @with_progress
    def report(self, out: str | Path | None = None, *, data: Any = None, progress: bool = True) -> Path:
        """Write a page about the folds together; see `topwork.scoring.report.report.report`."""
        from topwork.scoring.report.report import report

        return report([self.path], out, data)

    @ours()
    @with_progress
    def resume(self, data: Any = None, *, final: bool = False, **options: Any) -> "Folds":
        """Continue an interrupted cross-validation. Finished runs do not change; for the others, see `Run.resume`.

        Args:
            data: the new place of the pictures, if they were moved.
            final: whether to add the run on all pictures, if the cross-validation was made without it. It then has the
                recipe of the first fold.
            options: as in `Run.resume`.
        """
        for number, run in enumerate(self.runs, 1):
            say(f"fold {number} of {len(self.runs)}")
            run.resume(data, **options)
        if final and not (self.path / FINAL).exists():
            self._add_final(data)
        if (self.path / FINAL).exists():
            say(LAST)
            self.final.resume(data, **options)
        return self._concluded()

    def _add_final(self, data: Any) -> None:
        """Prepare the run on all pictures."""
        first = self.runs[0].folder
        rows = unchanged(first, data, lambda rows: requests(first, first.recipe, rows))
        drawn = first.recipe.data
        whole = replace(undivided(rows, drawn.seed), drawn=drawn, left_out=())
        prepared(whole, first.recipe, None, Options(out=self.path / FINAL))

    def _concluded(self) -> "Folds":
        """Write what all folds answered together, which is also the score of the run on all pictures."""
        runs = self.runs
        results, answers = together(self.path, runs)
        data = runs[0].data
        with written_whole(self.path / "results.json") as aside:
            aside.write_text(as_json(results.as_json(), indent=1) + "\n", encoding="utf-8")
        with Pencil() as pencil:
            keep(pencil, self.path, data, answers, results.test)
        if (self.path / FINAL).exists():
            own = self.final.folder
            own.keep_results(replace(own.results, accuracy=results.accuracy, test=results.test, folds=len(runs)))
            if (own.path / "curves.png").exists():
                shutil.copy(own.path / "curves.png", self.path / "curves.png")
        _tell(results)
        next_steps.tell(self.path, data, results.test)
        return self


@ours()
@with_progress
@one_worker()
def cross_validate(
    data: "str | Path | tuple | Dataset",
    count: int,
    *unnamed: Any,
    seed: int | None = None,
    out: str | Path | None = None,
    recipe: Recipe | None = None,
    parent: Any = None,
    final: bool = True,
    head_first: bool | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    strict: bool = False,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
    **words: Any,
) -> Folds:
    """Train one run for each of several folds, and test it on that fold.

    Args:
        data: anything that `topwork.read` takes, or a dataset that `topwork.read` returned. The parts of a
            dataset are not kept: the folds are drawn from all pictures.
        count: the number of folds, 2 or more.
        unnamed: is refused, as in `topwork.training.train`.
        seed: the seed for drawing the folds; by default the recipe's ``data.seed``.
        out: the folder to create; by default, a new folder in ``runs``, named after the data and the time.
        recipe, head_first, callbacks, strict, jobs, progress: as in `topwork.training.train`.
        parent: must be ``None``.
        final: whether to train one more run, for use, on all pictures; a tenth of them is its validation part.
        words: the arguments *phases*, *backbones*, *head*, *views* and *minutes* of `topwork.training.train`. The
            minutes are shared: each fold searches anew, without the pictures that it tests.

    Raises:
        UsageError: a parent is given, or the recipe is a join. (With a parent, every fold would have the parent's test
            part.)
        RunError: *out* exists already.
        DatasetError, RecipeError: the data cannot be divided into that number of folds.

    Example:
        >>> import topwork as tw
        >>> found = tw.cross_validate("flowers/", 5, phases=[tw.Phase("mobilenet_v2@pool")])  # doctest: +SKIP
        >>> found.results.accuracy  # doctest: +SKIP
        Rate(value=0.83, low=0.79, high=0.86)
    """
    refuse_misplaced(unnamed, {})
    if parent is not None:
        folds_, from_ = either("a cross-validation", "--folds"), either("parent", "--from")
        raise UsageError(
            f"{folds_} tests every picture once, and {from_} keeps the test part of its run: omit one of them."
        )
    first = words.get("phases") is not None if head_first is None else head_first
    recipe = chosen(**words, recipe=recipe)
    if recipe.join:
        raise UsageError(
            f"{either('a cross-validation', '--folds')} deals the pictures anew, and a join keeps the parts of its "
            "members: omit one of the two."
        )
    if seed is not None:
        recipe = replace(recipe, data=replace(recipe.data, seed=int(seed))).checked()
    dealt = recipe.data
    refuse_early(data, recipe)
    if recipe.search:
        recipe = _shared(recipe, recipe.search, count, final)
    else:
        recipe = completed(recipe, first, callbacks)
        begin(one for step in steps(recipe) for one in step.requests)
    whole = replace(dealt, split=(1.0, 0.0, 0.0), draw="last")
    rows = data if isinstance(data, Dataset) else read_by(data, whole)
    if rows.has_own_parts:
        say(f"The data's own parts are mixed: each of the {count} folds tests a share of all pictures.")
    rows = replace(rows, drawn=dealt)
    for note in rows.notes:
        if not note.startswith(splits.TORN):
            say(note)
    notes, rows = rows.notes, replace(rows, notes=())  # otherwise each fold would report them again
    path = Path(out) if out else fresh(Path("runs"), f"{rows.name}-folds")
    options = Options(callbacks=callbacks, strict=strict, jobs=jobs)
    parts = folds(rows, count, dealt.seed) + ([undivided(rows, dealt.seed)] if final else [])
    courses = _prepared(path, parts, recipe, options, count)
    say(f"{counted(len(rows), 'picture')} in {len(rows.classes):,} classes, in {count} folds.")
    try:
        for number, course in enumerate(courses, 1):
            say(f"fold {number} of {count}" if number <= count else LAST)
            if isinstance(course, searching.Searching):
                course.start = time.perf_counter()  # not when all folds were prepared
            course.run()
    except TopworkError:
        if not courses[0].folder.journal.epochs():
            shutil.rmtree(path)
        raise
    found = Folds(path)._concluded()
    say_again(notes)
    return found


def _shared(recipe: Recipe, search: Search, count: int, final: bool) -> Recipe:
    """Return the recipe with the share of a search's time that each run gets: each fold searches anew."""
    each = search.minutes / (count + final)
    if each < LEAST:
        folds_, least = either(f"{count} folds", f"--folds {count}"), f"{LEAST * (count + final):g}"
        raise UsageError(
            f"a search within each of {folds_} has {duration(60 * each)} per fold: give at least "
            f"{either(f'minutes={least}', f'--minutes {least}')}.",
            "search.minutes",
        )
    also = ", and the model for all pictures," if final else ""
    say(f"Each of the {count} folds{also} searches for {duration(60 * each)}: no picture chooses what is tested on it.")
    return replace(recipe, search=replace(search, minutes=each))


def _prepared(
    path: Path, dealt: Sequence[Dataset], recipe: Recipe, options: Options, count: int
) -> Sequence[Course | searching.Searching]:
    """Prepare one run per fold, and the final one, in a folder that appears complete or not at all."""
    if path.exists():
        out = either("out", "--out")
        raise RunError(
            f"{str(path)!r} exists already, and a run is never overwritten. Choose another {out}, or remove it."
        )
    with making(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
    with scratch:
        aside = Path(scratch.name, path.name)
        names = [*(f"fold-{number}" for number in range(1, count + 1)), FINAL]
        places = [replace(options, out=aside / name) for name in names]
        prepare = searching.prepared if recipe.search else prepared
        courses = [prepare(fold, recipe, None, one) for fold, one in zip(dealt, places)]
        aside.rename(path)
    remembered = Remembered()
    for course in courses:
        if isinstance(course, Course) and isinstance(courses[0], Course):
            course.told, course.readers = courses[0].told, remembered.open
        registry.forget(course.folder.path)
        registry.remember(path / course.folder.path.name)
        course.folder = Folder(path / course.folder.path.name)
        course.recipe = course.folder.recipe
    return courses


def together(path: Path, runs: Sequence[Run]) -> tuple[FoldResults, Answers]:
    """Measure the answers of all runs for their test parts as if a single run had given all of them."""
    exam = Exam.of_folds(path, [run.folder for run in runs])
    place = {label: number for number, label in enumerate(exam.classes)}
    labels = np.array([place[row.label] for row in exam.rows])
    found = metrics.measure(labels, exam.probabilities, exam.classes)
    each = [accuracy.value for run in runs if (accuracy := run.results.accuracy)]
    results = FoldResults(accuracy=found.accuracy, folds=each, test=found, notes=warned(found))
    return results, Answers(exam.rows, labels, exam.probabilities)


def _tell(results: FoldResults) -> None:
    rate, each = results.accuracy, results.folds
    say(
        f"Accuracy {rate.value:.3f} over all {len(each)} folds, {counted(results.test.pictures, 'picture')} "
        f"(95 % interval {rate.low:.3f} to {rate.high:.3f}); single folds {min(each):.3f} to {max(each):.3f}."
    )
    for note in results.notes:
        say(note)
