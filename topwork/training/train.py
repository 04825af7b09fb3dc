"""Train a run from a dataset and a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.data.dataset import Dataset
from topwork.data.holdout import remark
from topwork.data.readers import look
from topwork.errors import TopworkError, at
from topwork.networks.backbones import catalogue as networks
from topwork.networks.weights import pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Head, Join, Options, Phase, Rule, Views
from topwork.runs.folder import Folder
from topwork.system import files
from topwork.system.keras_settings import ours
from topwork.system.messages import with_progress
from topwork.training import warm_start
from topwork.training.fusion import joining
from topwork.training.prepare import chosen, completed, prepared
from topwork.training.run import Run
from topwork.training.trainer import Course

if TYPE_CHECKING:
    import keras


@ours()
@with_progress
def train(
    data: "str | Path | tuple | Dataset | None",
    *,
    phases: Sequence[Phase] | None = None,
    backbones: Sequence[Backbone] = (),
    head: "Head | str | keras.Model" = "linear",
    views: Views | int = 1,
    seed: int = 0,
    recipe: Recipe | None = None,
    parent: "Run | str | Path | None" = None,
    head_first: bool | None = None,
    out: str | Path | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    strict: bool = False,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
) -> Run:
    """Train a classifier.

    Args:
        data: anything that `topwork.read` takes, or a dataset that it returned, which keeps its splits. ``None`` is
            possible for a join.
        phases: stretches of training whose cuts move towards the input; by default one, at ``pool``.
        backbones: options for backbones that the cuts name.
        head: ``"linear"``, ``"mlp"``, a `Head`, or your own ``keras.Model`` (or its file) that ends in logits.
        views: how many views of each training picture there are, or `Views`.
        seed: for initial values and the order of pictures.
        recipe: replaces phases, backbones, head, views and seed; or a join (see `join`).
        parent: a finished run to start from: its weights, and its last phase if none is given. Pictures that it had
            keep their parts; classes may be added or removed.
        head_first: whether to add a phase for the head alone in front, if the first phase trains layers of a pretrained
            network. By default it is added before *phases*, not before those of a recipe, and never with a parent, a
            head of your own, or random weights.
        out: the run folder; by default below ``runs``, named after data and time.
        callbacks: your own Keras callbacks. Their logs contain ``val_loss``, ``val_accuracy``, ``val_auc`` and
            ``train_loss``. `Run.resume` does not restore their state.
        strict: whether a picture that cannot be read is an error.
        jobs: processors to use; by default all that this process may use.
        progress: whether bars and lines show how it goes; ``False`` shows none.

    Returns:
        The finished run.

    Raises:
        TopworkError: a subclass that says what was wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.train("flowers/", phases=[tw.Phase("mobilenet_v2@pool", epochs=25)])  # doctest: +SKIP
    """
    options = Options(out, callbacks, strict, jobs)
    origin = Folder(parent.path if isinstance(parent, Run) else parent) if parent is not None else None
    if recipe is None and origin and not phases:
        recipe = warm_start.recipe(origin)
    else:
        recipe = chosen(phases, backbones, head, views, seed, recipe)
    course: Course | joining.Joining
    if recipe.join:
        course = joining.prepared(data, recipe, origin, options)
    else:
        first = phases is not None if head_first is None else head_first
        refuse_early(data, recipe)
        recipe = completed(recipe, first and origin is None)
        course = prepared(data, recipe, origin, options)
    try:
        course.run()
    except TopworkError:
        course.folder.abandon()
        raise
    if not recipe.join:
        remark(course.data)
    return Run(course.folder.path)


def join(
    members: "Sequence[str | Path | Run]",
    rule: Rule = "mean",
    *,
    data: "str | Path | tuple | Dataset | None" = None,
    out: str | Path | None = None,
    strict: bool = False,
    jobs: int | None = None,
    progress: bool = True,
) -> Run:
    """Join finished runs at their probabilities (late fusion); no layer of them is trained again.

    Args:
        members: two runs or more, with the same classes and picture columns.
        rule: ``"mean"``, ``"weighted"`` or ``"stacked"``; see `topwork.recipes.settings.Join`.
        data: the pictures to fit the rule on and to test; by default the members' own, which must be the same. A
            picture that a member knew keeps its part.
        out, strict, jobs, progress: as of `train`.

    Returns:
        A finished run like any other; its folder holds copies of its members.

    Raises:
        TopworkError: a subclass that says what was wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.join(["runs/a", "runs/b"], "weighted", out="runs/both")  # doctest: +SKIP
        >>> run.results.join.weights  # doctest: +SKIP
        [0.61, 0.39]
    """
    paths = tuple(str(member.path if isinstance(member, Run) else member) for member in members)
    return train(data, recipe=Recipe(join=Join(paths, rule)), out=out, strict=strict, jobs=jobs, progress=progress)


def refuse_early(data: Any, recipe: Recipe) -> None:
    """Refuse names that do not exist and a home that cannot be used; and data, before weights are fetched for them.

    Raises:
        UnknownBackbone: no backbone has that name.
        DatasetError: as of `topwork.data.readers.look`.
        MachineError: as of `topwork.system.files.check`.
    """
    for number, phase in enumerate(recipe.phases, 1):
        for name in {term.backbone for term in phase.terms}:
            if recipe.backbones[name].model is None:
                with at(f"phase.{number}.cut"):
                    networks.record(name)
    if not isinstance(data, Dataset) and not all(map(pretrained.is_at_hand, recipe.backbones.values())):
        look(data, recipe.data)
    files.check()
