"""Carry out a run: fill the store, train phase by phase, test.

The trunk runs once per picture in a second process, while this process imports Keras. Then each phase is one call of
``fit``, which trains the layers above the cut on activations from the store. No phase ends with worse weights than it
began with (law 7). A run that was killed continues from its last checkpoint and ends with the same weights, bit for bit
(law 4).
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any

from topwork.data.dataset import Dataset, in_array
from topwork.data.holdout import check
from topwork.errors import RunError, at
from topwork.networks.model import Network, create
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs import lockfile
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.folder import Folder
from topwork.scoring.answers import SAMPLE, checked, sampled
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import conclude, tell
from topwork.shipping import trial_export
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations
from topwork.store.extract import Watch
from topwork.store.plan import Step, steps
from topwork.store.request import Request
from topwork.system import keras_settings
from topwork.system.advice import either
from topwork.system.messages import say
from topwork.training import warm_start
from topwork.training.fusion import joining


def requests(folder: Folder, recipe: Recipe, rows: Dataset) -> list[Request]:
    """Return everything that a run requests from the store, for training and for the test."""
    if recipe.join:
        return [one for some in joining.requests(folder, rows) for one in some]
    planned = [step.of(rows) for step in steps(recipe)]
    return [*(one for step in planned for one in step.requests), *_exact(planned[-1], rows)]


def _exact(last: Step, rows: Dataset) -> list[Request]:
    """Return the float32 requests that measure the shipped model on the test part, or on a sample of it."""
    return last.exact(replace(rows, rows=sampled(rows.part("test"), SAMPLE)))


@dataclass
class Course:
    """A run that is being carried out."""

    folder: Folder
    recipe: Recipe
    data: Dataset
    steps: list[Step]
    options: Options
    told: set[str] = field(default_factory=set)
    """The paths of skipped pictures that were already reported. The folds of a cross-validation share this set."""

    def run(self, resumed: bool = False) -> None:
        """Fill the store, train each phase and test; if *resumed*, start from the last checkpoint."""
        try:
            with self.folder.held():
                self._run(self._state() if resumed else None)
        except KeyboardInterrupt:
            say(f"To continue: {self.folder.resuming()}")
            raise

    def _state(self) -> State | None:
        """Return the last checkpoint (``None`` if no checkpoint exists), and remove later epochs from the journal."""
        state = Checkpoints(self.folder.path / "checkpoints").read()
        now, before = self.folder.digests(), state.about.get("files", {}) if state else {}
        for name in before:
            if before[name] != now.get(name):
                raise RunError(
                    f"{str(self.folder.path / name)!r} changed since the last checkpoint, so that the run cannot "
                    "continue as it began. Put it back as it was, or start a new run."
                )
        self.folder.journal.cut(state.about["phase"] if state else 0, state.about["epoch"] if state else 0)
        where = f"phase {state.about['phase']}, epoch {state.about['epoch']}" if state else "the beginning"
        say(f"{self.folder.path} continues from {where}.")
        return state

    def _run(self, state: State | None) -> None:
        start = time.perf_counter()
        exact = _exact(self.steps[-1], self.data)
        asked = [one for step in self.steps for one in step.requests]
        with (
            Pencil(self.folder.path) as pencil,
            Watch() as watch,
            Extraction([*asked, *exact], watch.report, self.options.jobs) as extraction,
        ):
            keras_settings.import_keras()
            from topwork.training.iteration.optimizers import optimizer

            for number, phase in enumerate(self.recipe.phases, 1):
                with at(f"phase.{number}"):
                    optimizer(phase, 1)  # raise the error for an unknown optimizer now, before anything runs
            if not state:
                trial_export.check(self.recipe, len(self.data.classes))
            network, done, head = None, 0, 0.0
            for number, step in enumerate(self.steps, 1):
                extraction.wait_all(range(done, done + len(step.requests)))
                done += len(step.requests)
                with StoredActivations(step.requests) as stored:
                    network = network or self._begun(stored, state)
                    if not state or number >= state.about["phase"]:
                        head += self._phase(network, number, stored, state)
                    if number == len(self.steps):
                        self.folder.keep_weights(network.values())
                        if self.data.pixels is not None:
                            sample = {row.path: in_array(self.data.pixels, row.path) for row in checked(self.data)}
                            self.folder.keep_sample(sample)
                        extraction.wait_all(range(done, done + len(exact)))
                        with StoredActivations(exact) as to_test:
                            results = conclude(self.folder, network, self.data, stored, to_test, pencil)
            spent = {**watch.seconds, "head": head, "total": time.perf_counter() - start}
            results = replace(results, cost={name: round(value, 3) for name, value in spent.items()})
            self.folder.keep_results(results)
        tell(results)

    def _begun(self, stored: StoredActivations, state: State | None) -> Network:
        """Make the network, with the weights that it has before the first phase; *stored* has its activations."""
        import keras

        lockfile.settle(self.folder)
        self._leave_out(stored.failures())
        keras.utils.set_random_seed(self.recipe.training.seed)
        network = create(self.recipe, self.steps[-1].trunks(), len(self.data.classes))
        if not state and self.folder.parent:
            warm_start.load(network, self.folder.parent, self.data.classes)
        return network

    def _phase(self, network: Network, number: int, stored: StoredActivations, state: State | None) -> float:
        """Train one phase and return its seconds; continue from *state* if that is a checkpoint of this phase."""
        from topwork.training.iteration.phase import PhaseTraining

        step = self.steps[number - 1]
        about: dict[str, Any] = {"stored": stored.dtypes, "files": self.folder.digests()}
        own = state if state and number == state.about["phase"] else None
        for term, had, has in zip(step.terms, own.about["stored"] if own else (), stored.dtypes):
            if had != has:
                raise RunError(
                    f"the dtype of the stored activations of '{term}' changed since the run began ({had} then, {has} "
                    "now): it cannot continue. Put back what was there, or start a new run."
                )
        examples = {name: stored.examples(self.data.part(name), self.data.classes) for name in ("train", "val")}
        checkpoints = Checkpoints(self.folder.path / "checkpoints")
        phase = PhaseTraining(self.recipe, number, network, step.trunks(), examples, len(self.data.classes))
        return phase.run(self.folder.journal.note, checkpoints, about, self.options.callbacks, own).seconds

    def _leave_out(self, bad: dict[str, str]) -> None:
        """Skip the pictures that could not be decoded, report them, and write them to the run's pictures.csv."""
        self.data = self.data.without(bad)
        untold = [gone for gone in self.data.left_out if gone.path not in self.told]
        self.told.update(gone.path for gone in untold)
        for gone in untold[:10]:
            say(f"skipped: {gone.path}: {gone.reason}")
        if len(untold) > 10:
            all_of_them = either(f"topwork.Run({str(self.folder.path)!r}).data.left_out", "'topwork read'")
            say(f"skipped: {len(untold) - 10} more; {all_of_them} names them all.")
        if bad:
            self.folder.keep_data(self.data)
            check(self.data, self.options.strict)
