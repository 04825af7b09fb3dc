"""The tries of a search: a head that is solved, or layers that are opened above it.

Each try has a folder with its journal and its checkpoints. A try pauses after some epochs and continues later, from
memory or from its checkpoint, with the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase, TopPrecision
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.journal import Epoch, Journal, kept_epochs
from topwork.system.messages import shown
from topwork.training.search.clock import Clock

if TYPE_CHECKING:
    from topwork.training.iteration.phase import PhaseTraining


DIVERGED = "its loss was not finite"


class OutOfTime(Exception):
    """The time of the search is over."""


@dataclass(eq=False)
class Try:
    """One try.

    Args:
        number: its number, from 1.
        recipe: its phases are the head, which is solved, and, if layers are opened, the phase that trains them.
        folder: its files.
        ended: why it ended; empty while it may continue.
    """

    number: int
    recipe: Recipe
    folder: Path
    ended: str = ""
    _training: "PhaseTraining | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(self.folder / "journal.jsonl")
        self.checkpoints = Checkpoints(self.folder / "checkpoints")

    @property
    def phase(self) -> Phase:
        """Its last phase."""
        return self.recipe.phases[-1]

    @property
    def is_opened(self) -> bool:
        """Whether layers are opened."""
        return len(self.recipe.phases) > 1

    @property
    def views(self) -> int:
        """The number of views per training picture."""
        return self.recipe.views.count

    @property
    def lines(self) -> list[Epoch]:
        """The lines of its journal, which are those of its last phase."""
        return self.journal.epochs()

    @property
    def epochs(self) -> int:
        """The number of epochs that the opened layers were trained."""
        return self.lines[-1].epoch if self.is_opened and self.lines else 0

    @property
    def scored(self) -> Epoch:
        """The line of the last epoch that was scored, the end of a cycle; or of epoch 0."""
        return [line for line in self.lines if self.phase.iteration.is_scored(line.epoch)][-1]

    @property
    def kept(self) -> Epoch:
        """The line of its best weights."""
        return kept_epochs(self.lines)[-1]

    def loss_at(self, epoch: int) -> float:
        """Return the validation loss after an epoch; infinite if it is not finite."""
        loss = next(line.val_loss for line in self.lines if line.epoch == epoch)
        return inf if loss is None or not isfinite(loss) else loss

    @property
    def pace(self) -> float:
        """The seconds of its median epoch, without the first, which also has to compile the training step."""
        seconds = [line.seconds for line in self.lines if line.epoch]
        return median(seconds[1:] or seconds or [0.0])

    def train(self, until: int, begin: "Callable[[State | None], PhaseTraining]", dtypes: Any, clock: Clock) -> None:
        """Train the opened layers until an epoch has ended, unless they were trained so far before an interruption.

        Args:
            until: the number of the epoch.
            begin: makes the phase, from a checkpoint if there is one.
            dtypes: the dtypes of the stored activations.
            clock: training stops when its time is over.

        Raises:
            OutOfTime: the time is over before the epoch ended. The epochs before it count.
        """
        saved = None if self._training else self.checkpoints.read()
        if saved and saved.about["epoch"] >= until:
            self.ended = DIVERGED if saved.about["diverged"] else ""
            return
        training = self.live(begin)
        import keras

        def stop(*_: Any, **__: Any) -> None:
            if clock.left < 0:
                raise OutOfTime

        alarm = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        try:
            training.train(until, self.checkpoints, {"stored": dtypes}, clock=[alarm])
        except (OutOfTime, KeyboardInterrupt):
            state = training.state()
            self.checkpoints.write(State({"stored": dtypes, **state.about, "over": True}, state.arrays))
            raise
        if training.keeper.diverged:
            self.ended = DIVERGED
        elif training.keeper.epochs < until:  # it was interrupted within an epoch, and cannot continue
            self.ended = "it was interrupted"

    def live(self, begin: "Callable[[State | None], PhaseTraining]") -> "PhaseTraining":
        """Return the phase in memory; if it is not in memory, it is begun, or restored from the checkpoint."""
        if self._training is None:
            state = self.checkpoints.read()
            self.journal.cut(2, state.about["epoch"] if state else -1)
            with shown(False):
                self._training = begin(state)
        return self._training

    def close(self) -> None:
        """Free the memory of the network."""
        self._training = None

    def final(self) -> State | None:
        """Return the state of the try as that of a phase that has ended; ``None`` if no epoch ended."""
        state = self.checkpoints.read()
        return State({**state.about, "over": True}, state.arrays) if state else None

    def explicit(self) -> Recipe:
        """Return the recipe that repeats the try without a search."""
        if not self.is_opened:
            return self.recipe
        phase = replace(self.phase, epochs=self.scored.epoch, precision=cast(TopPrecision, self.lines[-1].precision))
        return replace(self.recipe, phases=(self.recipe.phases[0], phase))


def without_views(one: Try, tries: Sequence[Try]) -> list[Try]:
    """Return the tries that have the settings of *one*, but fewer views."""
    return [other for other in tries if other.phase == one.phase and other.views < one.views]
