"""The course of a run: fill the store, train phase by phase, measure.

The trunk runs once per picture in a process beside, while this one imports Keras. Then each phase is one ``fit`` of
what is above its cut, on activations from the store; no phase ends worse than it began (law 7). A run that was killed
goes on from its last checkpoint, to the same bits (law 4).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from topwork.data.dataset import Dataset
from topwork.data.holdout import check
from topwork.errors import RunError, at
from topwork.networks.model import Network, create
from topwork.recipes.recipe import Recipe
from topwork.runs import lockfile
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.folder import Folder
from topwork.scoring.answers import SAMPLE, checked, sampled
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import conclude, tell
from topwork.shipping import trial_export
from topwork.store.engines.local import Extraction
from topwork.store.extract import Watch
from topwork.store.plan import Step, steps
from topwork.store.request import Wanted, failures, gathered, stored
from topwork.system import keras_settings
from topwork.system.messages import say
from topwork.training import warm_start
from topwork.training.fusion import joining

if TYPE_CHECKING:
    import keras


def fills(folder: Folder, recipe: Recipe, rows: Dataset) -> list[Wanted]:
    """All that a run, with its test, wants of a dataset."""
    if recipe.join:
        return [one for some in joining.fills(folder, rows) for one in some]
    planned = [step.of(rows) for step in steps(recipe)]
    return [*(one for step in planned for one in step.wanted), *_exact(planned[-1], rows)]


def _exact(last: Step, rows: Dataset) -> list[Wanted]:
    return last.exact(sampled(rows.part("test"), SAMPLE))


@dataclass
class Course:
    """One run under way."""

    folder: Folder
    recipe: Recipe
    data: Dataset
    steps: list[Step]
    callbacks: "Sequence[keras.callbacks.Callback]"
    strict: bool
    jobs: int | None
    told: set[str] = field(default_factory=set)
    """The pictures left out that were named already, by their paths; the folds of a cross-validation share it."""

    def run(self, resumed: bool = False) -> None:
        """Fill, train phase by phase, measure; if *resumed*, from the last checkpoint on."""
        try:
            with self.folder.held():
                self._run(self._state() if resumed else None)
        except KeyboardInterrupt:
            say(f"To go on: topwork train --resume {self.folder.whole}")
            raise

    def _state(self) -> State | None:
        """The last checkpoint; the journal is cut back to it."""
        state = Checkpoints(self.folder.path / "checkpoints").read()
        if state:
            _check_files(self.folder, state.about.get("files", {}), self.folder.digests())
        self.folder.cut_journal(state.about["phase"] if state else 0, state.about["epoch"] if state else 0)
        where = f"phase {state.about['phase']}, epoch {state.about['epoch']}" if state else "the beginning"
        say(f"{self.folder.path} goes on from {where}.")
        return state

    def _run(self, state: State | None) -> None:
        start = time.perf_counter()
        first = len(self.steps[0].wanted)
        exact = _exact(self.steps[-1], self.data)
        fills = [*(one for step in self.steps for one in step.wanted), *exact]
        with (
            Pencil(self.folder.path) as pencil,
            Watch() as watch,
            Extraction(self.data, fills, watch.report, self.jobs) as extraction,
        ):
            keras_settings.import_keras()
            import keras

            self._check_optimizers()
            if not state:
                trial_export.check(self.recipe, len(self.data.classes))
            extraction.wait_all(range(first))
            lockfile.settle(self.folder)
            self._leave_out_failures()
            keras.utils.set_random_seed(self.recipe.training.seed)
            network = create(self.recipe, self.steps[-1].trunks(), len(self.data.classes))
            if not state and self.folder.parent:
                warm_start.load(network, self.folder.parent, self.data.classes)
            head = self._phases(network, extraction, state)
            self.folder.keep_weights(network.values())
            self._keep_sample()
            extraction.wait_all(range(len(fills)))
            results = conclude(self.folder, network, self.data, self.steps[-1], exact, pencil)
            spent = {**watch.seconds, "head": head, "total": time.perf_counter() - start}
            results["cost"] = {name: round(value, 3) for name, value in spent.items()}
            self.folder.keep_results(results)
        tell(results)

    def _phases(self, network: Network, extraction: Extraction, state: State | None) -> float:
        """Train phase by phase; gives the seconds."""
        from topwork.training.phase import Journey, run_phase

        checkpoints = Checkpoints(self.folder.path / "checkpoints")
        journey = Journey(self.recipe, network, len(self.data.classes), self.folder.note, checkpoints, self.callbacks)
        seconds, done = 0.0, 0
        for number, step in enumerate(self.steps, 1):
            wanted = step.of(self.data).wanted
            extraction.wait_all(range(done, done + len(wanted)))
            done += len(wanted)
            if state and number < state.about["phase"]:
                continue
            known: dict[str, Any] = {"stored": stored(wanted), "files": self.folder.digests()}
            own = state if state and number == state.about["phase"] else None
            if own:
                _check_stored(own.about["stored"], known["stored"], step)
            with gathered(wanted, self.data.classes) as part:
                parts = {name: part(self.data.part(name)) for name in ("train", "val")}
                keeper = run_phase(replace(journey, about=known), number, step.trunks(), parts, own)
            seconds += keeper.seconds
        return seconds

    def _leave_out_failures(self) -> None:
        """Less the pictures that could not be decoded, which are named and written to the run's pictures.csv."""
        bad: dict[str, str] = {}
        for one in self.steps[0].wanted:
            bad |= failures(one)
        self.data = self.data.without(bad)
        untold = [gone for gone in self.data.left_out if gone.path not in self.told]
        self.told.update(gone.path for gone in untold)
        for gone in untold[:10]:
            say(f"left out: {gone.path}: {gone.reason}")
        if len(untold) > 10:
            say(f"left out: {len(untold) - 10} more; 'topwork read' names them all.")
        if bad:
            self.folder.keep_data(self.data)
            check(self.data, self.strict)

    def _check_optimizers(self) -> None:
        from topwork.training.optimizers import optimizer

        for number, phase in enumerate(self.recipe.phases, 1):
            with at(f"phase.{number}"):
                optimizer(phase, 1)

    def _keep_sample(self) -> None:
        if self.data.pixels is not None:
            rows = checked(self.data)
            self.folder.keep_sample({row.path: self.data.pixels[int(row.path[2:-1])] for row in rows})


def _check_files(folder: Folder, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """That the run's own files are as they were when the checkpoint was made."""
    for name in before:
        if before[name] != now.get(name):
            raise RunError(
                f"{str(folder.path / name)!r} changed since the last checkpoint, so that the run cannot go on as it "
                "began. Put it back as it was, or start a new run."
            )


def _check_stored(before: Sequence[Any], now: Sequence[Any], step: Step) -> None:
    """That the activations are stored as they were when the checkpoint was made."""
    for term, had, has in zip(step.terms, before, now):
        if had != has:
            raise RunError(
                f"the dtype of the stored activations of '{term}' changed since the run began ({had} then, {has} now): "
                "it cannot go on. Put back what was there, or start a new run."
            )
