"""Carry out a run: fill the store, train phase by phase, test.

The trunk runs once per picture in a second process, while this process imports Keras. Then each phase is one call of
``fit``, which trains the layers above the cut on activations from the store. No phase ends with worse weights than it
began with (law 7). A run that was killed continues from its last checkpoint and ends with the same weights, bit for bit
(law 4).

A phase that trains only a linear head is solved instead. If all phases are solved, Keras is not imported.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from topwork.data.dataset import Dataset, in_array, skipped
from topwork.data.holdout import check
from topwork.data.quality.findings import Finding
from topwork.errors import RunError, at
from topwork.networks.heads import LOGITS, LinearHead
from topwork.networks.model import Network, create
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs import lockfile
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.folder import Folder
from topwork.runs.scores import Results
from topwork.scoring.answers import SAMPLE, Solved, checked, examples, sampled
from topwork.scoring.audit.copies import copies_across
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import conclude, tell
from topwork.shipping.checking import trial_export
from topwork.store.engines.local import Extraction
from topwork.store.examples import Examples, Reader, StoredActivations
from topwork.store.extract import Watch
from topwork.store.plan import Step, steps
from topwork.store.precision import settled
from topwork.store.request import Request
from topwork.system import keras_settings
from topwork.system.advice import either, word
from topwork.system.messages import say
from topwork.training import warm_start
from topwork.training.calibrating import calibrated, measured
from topwork.training.fusion import joining

if TYPE_CHECKING:
    from topwork.training.solved_phase import InFolds

ALIKE = {"efficientnet_lite0": 1.0, "mobilenet_v2": 1.0, "": 0.4}
"""If the features of a solved head vary less than this (`topwork.networks.heads.LinearHead.spread`), opening layers is
suggested. The limit depends on the network; the first beginning of its name counts.

Measured at the end of EfficientNet-Lite0, MobileNetV2 0.35 and MobileNet 0.25: at least 1.31, 1.26 and 0.53 on photos
of one kind of flower; at most 0.83, 0.53 and 0.70 on MNIST; 0.23, 0.27 and 0.21 on scikit-learn's digits (docs/log.md,
2026-11-29 and 2026-11-30).
"""


def requests(folder: Folder, recipe: Recipe, rows: Dataset) -> list[Request]:
    """Return everything that a run requests from the store, for training and for the test."""
    if recipe.join:
        return [one for some in joining.requests(folder, rows) for one in some]
    if recipe.search:
        return []
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
    readers: Callable[[Request], Reader] = Request.store
    """Opens the store of a request. The folds of a cross-validation share what they read."""
    before: float = 0.0
    """The seconds that the run took before, in a search."""
    better: str = field(init=False, default="")
    """What may make the finished run better, if its features show it."""
    findings: list[Finding] = field(init=False, default_factory=list)
    """What the activations show of the data: copies in different parts. Not for a fold, whose parts were dealt."""
    _new: list[str] = field(init=False, default_factory=list)
    """The classes that the weights at the start of the phase were not trained on."""
    _head_seconds: float = field(init=False, default=0.0)
    _in_folds: "InFolds | None" = field(init=False, default=None)
    """The answers in folds of the last head, if it was solved with folds."""

    def run(self, resumed: bool = False) -> None:
        """Fill the store, train each phase and test; if *resumed*, start from the last checkpoint."""
        with self.folder.held(), hint(self.folder):
            self.carry_out(self._state() if resumed else None)

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

    def carry_out(self, state: State | None) -> None:
        """Fill the store, train each phase and test; start from *state* if it is a checkpoint. The folder is held."""
        start = time.perf_counter()
        with (
            Pencil(self.folder.path) as pencil,
            Watch() as watch,
            Extraction(self._requests(watch), watch.report, self.options.jobs) as extraction,
        ):
            self._import(None if extraction.asked else watch)
            if not state:
                trial_export.check(self.recipe, len(self.data.classes))
            trained: Network | Solved | None = None
            done = 0
            for number, step in enumerate(self.steps, 1):
                extraction.wait_all(range(done, done + len(step.requests)))
                done += len(step.requests)
                with StoredActivations(step.requests, self.readers) as stored:
                    if number == 1:
                        lockfile.settle(self.folder)
                        self.data = without(stored.failures(), self.data, self.folder, self.options.strict, self.told)
                    if not state or number >= state.about["phase"]:
                        trained = self._trained(trained, number, stored, state)
                        self._new = []
                    if number == len(self.steps):
                        assert trained
                        trained, temperature = calibrated(self.folder, trained, self.data, stored, self._in_folds)
                        in_folds = self._in_folds and self._in_folds.divided(temperature)
                        self.folder.keep_weights(trained.values())
                        if distance := measured(trained, self.data, stored, in_folds):
                            self.folder.keep_distance(distance)
                        if self.data.pixels is not None:
                            rows = [*checked(self.data), *examples(self.data)]
                            self.folder.keep_sample({row.path: in_array(self.data.pixels, row.path) for row in rows})
                        exact = _exact(step, self.data)
                        extraction.wait_all(range(done, done + len(exact)))
                        with StoredActivations(exact, self.readers) as to_test:
                            results = conclude(self.folder, trained, self.data, stored, to_test, pencil)
                        results = replace(results, temperature=temperature)
                        pencil.start()
                        total = time.perf_counter() - start + self.before
                        self._keep(results, {**watch.seconds, "head": self._head_seconds, "total": total})
                        if not (self.folder.path.parent / "fold-1").is_dir():
                            self.findings = copies_across(self.data, stored)
            if isinstance(trained, Solved) and not self.before:
                self.better = self._suggested(trained.head)

    def _keep(self, results: Results, seconds: Mapping[str, float]) -> None:
        """Save and tell the results, and write the short report if it is wanted, while the plots are drawn."""
        results = replace(results, cost={name: round(value, 3) for name, value in seconds.items()})
        self.folder.keep_results(results)
        if not self.folder.is_final:
            tell(results)
        if self.options.report:
            from topwork.scoring.report.report import brief

            brief(self.folder.path, self.folder)

    def _requests(self, watch: Watch) -> list[Request]:
        """Decide the precision of each trunk, save it in the recipe, and return everything to request."""
        asked = [one for step in self.steps for one in step.requests]
        asked = settled(asked, watch.report, self.options.jobs, meanwhile=self._import)
        backbones = {**self.recipe.backbones, **{one.backbone.name: one.backbone for one in asked}}
        if backbones != self.recipe.backbones:
            self.recipe = replace(self.recipe, backbones=backbones)
            self.folder.keep_recipe(self.recipe)
            again = iter(asked)
            self.steps = [replace(step, requests=tuple(islice(again, len(step.requests)))) for step in self.steps]
        return [*asked, *_exact(self.steps[-1], self.data)]

    def _suggested(self, head: LinearHead) -> str:
        """Return that opening layers may help, if the pictures are unlike those that the network was trained on."""
        used = [self.recipe.backbones[term.backbone] for term in self.recipe.phases[-1].terms]
        knows_photographs = all(one.weights == "imagenet" and not one.model for one in used)
        limit = min(next(limit for start, limit in ALIKE.items() if one.name.startswith(start)) for one in used)
        if head.spread is None or head.spread >= limit or not knows_photographs:
            return ""
        data = self.data.origin or "DATA"
        way = either("topwork.train(data, minutes=5)", f"topwork train {word(data)} --minutes 5")
        return (
            f"these pictures look alike to the network (between them, its features vary by {head.spread:.2f} of their "
            f"size; photographs: {limit:g} or more), so that training some of its layers may help a lot: {way}"
        )

    def _import(self, watch: Watch | None = None) -> None:
        """Import what the phases need, and raise the error for an unknown optimizer. *watch* shows what takes long."""
        iterated = [number for number, phase in enumerate(self.recipe.phases, 1) if not phase.is_solved]
        if len(iterated) < len(self.recipe.phases):
            import topwork.training.solved_phase  # noqa: F401
        if not iterated:
            return
        if watch:
            watch.report("begin", what="importing Keras")
        keras_settings.import_keras()
        if watch:
            watch.report("filled")
        from topwork.training.iteration.optimizers import optimizer

        for number in iterated:
            with at(f"phase.{number}"):
                optimizer(self.recipe.phases[number - 1].iteration, 1)

    def _network(self, solved: Solved | None, state: State | None) -> Network:
        """Make the network, with the weights that it has before its first phase that is iterated."""
        network = begun(self.recipe, self.steps[-1], len(self.data.classes))
        if solved:
            network.load(network.values() | solved.values())
        elif not state and self.folder.parent:
            self._new = warm_start.load(network, self.folder.parent, self.data.classes)
        return network

    def _inherited(self, train: Examples) -> Solved:
        """Return the parent's head, without Keras: if only heads are trained here, the parent trained nothing else."""
        assert self.folder.parent
        head, classes = self.recipe.head, self.data.classes
        outputs = 1 if self.recipe.training.loss == "binary" else len(classes)
        own = LinearHead.new(sum(train.widths(head.pooling)), outputs, head.batch_norm).values()
        values, self._new = warm_start.inherited(own, LOGITS, self.folder.parent, classes)
        return Solved(LinearHead.of(values), head.pooling)

    def _trained(
        self, before: Network | Solved | None, number: int, stored: StoredActivations, state: State | None
    ) -> Network | Solved:
        """Train one phase, and return the model; continue from *state* if that is a checkpoint of this phase."""
        examples = {name: stored.examples(self.data.part(name), self.data.classes) for name in ("train", "val")}
        if self._is_solved(number, examples["train"]):
            if before is None and self.folder.parent:
                only_heads = all(phase.is_solved for phase in self.recipe.phases)
                before = self._inherited(examples["train"]) if only_heads else self._network(None, state)
            return self._solve(before, number, examples)
        network = before if isinstance(before, Network) else self._network(before, state)
        self._iterate(network, number, examples, stored.dtypes, state)
        return network

    def _is_solved(self, number: int, train: Examples) -> bool:
        """Whether a phase is solved. If it is too large, the recipe changes: the phase is trained in epochs."""
        phase = self.recipe.phases[number - 1]
        if not phase.is_solved:
            return False
        from topwork.training.solved_phase import too_large

        if not too_large(number, train, self.recipe.head.pooling):
            return True
        settings = asdict(replace(phase, optimizer="auto").iteration)
        iterated = replace(phase, l2="auto", refit=False, **settings)
        phases = [*self.recipe.phases[: number - 1], iterated, *self.recipe.phases[number:]]
        self.recipe = replace(self.recipe, phases=tuple(phases))
        self.folder.keep_recipe(self.recipe)
        return False

    def _solve(self, before: Network | Solved | None, number: int, examples: dict[str, Examples]) -> Network | Solved:
        from topwork.training.solved_phase import SolvedPhase

        start = time.perf_counter()
        rows = {name: self.data.part(name) for name in ("train", "val")}
        note = self.folder.journal.note
        phase = SolvedPhase(self.recipe, number, rows, examples, len(self.data.classes), note, self._new)
        head = phase.run(LinearHead.of(before.values()) if before else None)
        self._in_folds = phase.in_folds
        self._head_seconds += time.perf_counter() - start
        if isinstance(before, Network):
            before.load(before.values() | head.values())
            return before
        return Solved(head, self.recipe.head.pooling)

    def _iterate(
        self, network: Network, number: int, examples: dict[str, Examples], dtypes: list, state: State | None
    ) -> None:
        from topwork.training.iteration.phase import PhaseTraining

        step = self.steps[number - 1]
        about: dict[str, Any] = {"stored": dtypes, "files": self.folder.digests()}
        own = state if state and number == state.about["phase"] else None
        for term, had, has in zip(step.terms, own.about["stored"] if own else (), dtypes):
            if had != has:
                raise RunError(
                    f"the dtype of the stored activations of '{term}' changed since the run began ({had} then, {has} "
                    "now): it cannot continue. Put back what was there, or start a new run."
                )
        checkpoints = Checkpoints(self.folder.path / "checkpoints")
        classes = len(self.data.classes)
        self._in_folds = None
        phase = PhaseTraining(self.recipe, number, network, step.trunks(), examples, classes, new=self._new)
        keeper = phase.run(self.folder.journal.note, checkpoints, about, self.options.callbacks, own)
        self._head_seconds += keeper.seconds


@contextmanager
def hint(folder: Folder) -> Iterator[None]:
    """Report how to continue the run if Ctrl-C or an error of the machine, as a full disk, ends what is done inside."""
    try:
        yield
    except (KeyboardInterrupt, OSError):
        if folder.is_finished:
            draw = either(f"topwork.Run({str(folder.path)!r}).evaluate()", f"topwork evaluate {word(folder.path)}")
            say(f"The run is complete. To draw its plots: {draw}")
        else:
            say(f"To continue: {folder.resuming()}")
        raise


def begun(recipe: Recipe, last: Step, classes: int) -> Network:
    """Make the network of a recipe, seeded, with pretrained weights and a new head. *last* is its last phase."""
    keras_settings.import_keras()
    import keras

    keras.utils.set_random_seed(recipe.training.seed)
    return create(recipe, last.trunks(), classes)


def without(bad: dict[str, str], data: Dataset, folder: Folder, strict: bool, told: set[str]) -> Dataset:
    """Skip the pictures that could not be decoded, report them, and write them to the run's pictures.csv.

    Args:
        bad: digest -> reason.
        data: the pictures of the run.
        folder: the run.
        strict: whether a skipped picture is an error.
        told: the paths that were already reported; more are added.
    """
    data = data.without(bad)
    untold = [gone for gone in data.left_out if gone.path not in told]
    told.update(gone.path for gone in untold)
    for line in skipped(untold, str(folder.path)):
        say(line)
    if bad:
        folder.keep_data(data)
        check(data, strict)
    return data
