"""A run: the folder of one training, and methods to resume, evaluate and export it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.data.dataset import Dataset
from topwork.data.notebook import with_answers
from topwork.data.quality.findings import Finding
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs import lockfile, registry
from topwork.runs.folder import Folder
from topwork.runs.journal import Epoch
from topwork.runs.moved_pictures import unchanged
from topwork.runs.restore import restore
from topwork.runs.resume import check_versions
from topwork.runs.scores import Results
from topwork.scoring.evaluate import Evaluation, evaluate
from topwork.scoring.results import lacks
from topwork.shipping.export import Made, export, export_all
from topwork.shipping.formats.known import Precision
from topwork.shipping.in_memory import predictor
from topwork.shipping.inputs import asked
from topwork.shipping.predictor import Guess, Pictures, Predictor
from topwork.store.plan import steps
from topwork.system.advice import either
from topwork.system.keras_settings import ours
from topwork.system.messages import say, with_progress
from topwork.training import next_steps
from topwork.training.fusion.joining import Joining
from topwork.training.search.searching import Searching
from topwork.training.trainer import Course, requests

if TYPE_CHECKING:
    import keras

    from topwork.scoring.calibration.unknown import Unknown


class Run:
    """Open a run folder.

    Args:
        path: the folder.

    Raises:
        RunError: the folder is not a run folder, or it has a newer format.

    Example:
        >>> run = Run("runs/flowers")  # doctest: +SKIP
        >>> run.results.accuracy.value  # doctest: +SKIP
        0.86
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Folder(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return with_answers(repr(self), self.results._repr_html_() if self.folder.is_finished else "", self.path)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def recipe(self) -> Recipe:
        """The recipe with all its defaults."""
        return self.folder.recipe

    @property
    def journal(self) -> list[Epoch]:
        """All epochs in order: losses, accuracies, phase, cut and seconds. Epoch 0 has the scores before training."""
        return self.folder.journal.epochs()

    @property
    def results(self) -> Results:
        """The scores of the run, and what the run cost."""
        return self.folder.results

    @property
    def data(self) -> Dataset:
        """The run's pictures with their splits. Pictures that came from arrays have no pixels here."""
        return self.folder.data()

    @ours()
    @with_progress
    def resume(
        self,
        data: "str | Path | tuple | Dataset | None" = None,
        *,
        callbacks: "Sequence[keras.callbacks.Callback]" = (),
        other_versions: bool = False,
        jobs: int | None = None,
        progress: bool = True,
    ) -> "Run":
        """Continue an interrupted run. The final weights are bit-for-bit those of an uninterrupted run (law 4).

        This holds on the same machine, with the same package versions, with TensorFlow on a CPU. A finished run does
        not change. A join starts again from the beginning, because none of its steps takes long.

        Args:
            data: the new place of the pictures, if they were moved: a folder, or anything that `topwork.read` takes.
                The pictures are found by content, and the new place is saved in the run. If the run was started with
                arrays that are not in a file, pass the same arrays again. They are checked by digest.
            callbacks: your own callbacks. They must be passed again, and their state is not restored.
            other_versions: whether to continue if package versions have changed since the start. The weights may then
                differ in some bits.
            jobs: the number of processors to use.
            progress: whether to show progress bars and messages.

        Returns:
            This run, finished.

        Raises:
            RunError: versions, pictures, weights or activations have changed since the start of the run.
        """
        resume(self.folder, data, other_versions, Options(callbacks=callbacks, jobs=jobs))
        return self

    @ours()
    def model(self) -> "keras.Model":
        """Return the complete model as one flat, plain ``keras.Model``.

        The model takes uint8 RGB pixels ``[batch, side, side, 3]`` and returns probabilities ``[batch, classes]``. If
        the data has several pictures per row, the model has an input for each of these pictures. If the backbones take
        pictures of several sizes, the model has an input for each size. The model of a join contains the layers of the
        members. The names of these layers begin with ``member_1_``, ``member_2_`` and so on.
        """
        return restore(self.folder).flat()

    @ours()
    @with_progress
    def evaluate(
        self,
        what: "str | Path | tuple | Dataset" = "test",
        *,
        data: "str | Path | tuple | Dataset | None" = None,
        csv: str | Path | None = None,
        out: str | Path | None = None,
        progress: bool = True,
    ) -> Evaluation:
        """Measure the run; see `topwork.scoring.evaluate.evaluate`. ``progress=False`` hides bars and messages."""
        return evaluate(self.folder, what, data, Path(csv) if csv else None, Path(out) if out else None)

    @ours()
    @with_progress
    def unknown(
        self, *, data: "str | Path | tuple | Dataset | None" = None, jobs: int | None = None, progress: bool = True
    ) -> "Unknown":
        """Measure how often pictures of other classes are noticed; see `topwork.scoring.calibration.unknown.unknown`.

        Example:
            >>> run.unknown().auroc.value  # doctest: +SKIP
            0.77
        """
        from topwork.scoring.calibration.unknown import unknown

        return unknown(self.folder, data, jobs)

    @ours()
    def predict(self, pictures: "Iterable[Pictures]") -> list[Guess]:
        """Classify pictures with the model in memory, in float32, as an exported file would.

        Args:
            pictures: as in `topwork.shipping.predictor.Predictor`: paths, bytes or uint8 arrays. Also a folder: its
                pictures, at any depth.

        Returns:
            One guess per picture, in order.

        Example:
            >>> run.predict(["rose.jpg"])[0].label  # doctest: +SKIP
            'rose'
        """
        made = predictor(self.folder)
        if isinstance(pictures, str | Path) and Path(pictures).is_dir():
            return list(made(asked([pictures], made.columns)))
        return list(made(pictures))

    @ours()
    @with_progress
    def report(
        self,
        out: str | Path | None = None,
        *,
        data: "str | Path | tuple | Dataset | None" = None,
        progress: bool = True,
    ) -> Path:
        """Write a page about the run; see `topwork.scoring.report.report.report`. ``progress=False`` hides bars."""
        from topwork.scoring.report.report import report

        return report([self.path], out, data)

    @ours()
    @with_progress
    def export(
        self,
        file: str | Path,
        *,
        format: str | None = None,
        precision: Precision = "float32",
        force: bool = False,
        data: "str | Path | tuple | Dataset | None" = None,
        runtime: str | Path | None = None,
        progress: bool = True,
    ) -> Predictor:
        """Write a file that gives the same answers as the model; see `topwork.shipping.export.export`.

        The format is that of the suffix of *file*, as ONNX for ``.onnx``. ``progress=False`` hides bars and messages.
        """
        place = Path(runtime) if runtime else None
        return export(self.folder, Path(file), data, format, precision, force, place)

    @with_progress
    def export_all(
        self, folder: str | Path, *, data: "str | Path | tuple | Dataset | None" = None, progress: bool = True
    ) -> list[Made]:
        """Write a file in each format and precision; see `topwork.shipping.export.export_all`.

        A file that cannot be written, or does not answer as the model does, is in the list with the reason.
        """
        return export_all(self.folder, Path(folder), data)


def resume(folder: Folder, data: Any, other_versions: bool, options: Options) -> None:
    """Continue an interrupted run; see `topwork.training.run.Run.resume`."""
    registry.remember(folder.path)  # the folder may have been moved
    if folder.is_finished:
        lacking = lacks(folder)
        draws = either(f"topwork.Run({str(folder.path)!r}).evaluate()", f"topwork evaluate {folder.path}")
        mend = f", but its {', '.join(lacking)} were not drawn. To draw them: {draws}"
        say(f"{folder.path} has finished{mend if lacking else ': nothing is left to do.'}")
        return
    recipe = folder.recipe
    check_versions(folder, other_versions)
    rows = unchanged(folder, data, lambda rows: requests(folder, recipe, rows))
    if data is not None and rows.root:
        folder.keep_place(rows)
    findings: Sequence[Finding] = ()
    if recipe.join:
        Joining(folder, rows, options).run()
    elif recipe.search:
        Searching(folder, recipe, rows, options).run(resumed=True)
    else:
        lockfile.check(folder)
        planned = [step.of(rows) for step in steps(recipe)]
        course = Course(folder, recipe, rows, planned, options)
        course.run(resumed=True)
        findings = course.findings
    next_steps.tell(folder.path, rows, folder.results.test, findings=findings)
