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
from topwork.store.engines.local import one_worker
from topwork.system import files
from topwork.system.keras_settings import ours
from topwork.system.messages import say, with_progress
from topwork.training import next_steps, warm_start
from topwork.training.fusion import joining
from topwork.training.prepare import chosen, completed, prepared, refuse_misplaced
from topwork.training.run import Run
from topwork.training.search import searching
from topwork.training.trainer import Course

if TYPE_CHECKING:
    import keras


@ours()
@with_progress
@one_worker()
def train(
    data: "str | Path | tuple | Dataset | None",
    *unnamed: Any,
    phases: Sequence[Phase] | None = None,
    backbones: Sequence[Backbone] = (),
    head: "Head | str | keras.Model" = "linear",
    views: Views | int = 1,
    seed: int = 0,
    recipe: Recipe | None = None,
    minutes: float | None = None,
    parent: "Run | str | Path | None" = None,
    head_first: bool | None = None,
    out: str | Path | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    strict: bool = False,
    jobs: int | None = None,
    report: bool = False,
    progress: bool = True,  # noqa: ARG001
    **others: Any,
) -> Run:
    """Train a classifier.

    Args:
        data: anything that `topwork.read` takes, or a dataset that `topwork.read` returned. The splits of a dataset are
            kept. For a join, *data* may be ``None``.
        unnamed, others: are refused, with a sentence on where they belong. All arguments but the data have names.
        phases: the phases of training, in order. From phase to phase, the cut moves towards the input. The default is
            one phase, with the cut at ``pool``.
        backbones: options for the pretrained networks that the cuts name.
        head: ``"linear"``, ``"mlp"``, a `Head`, or a ``keras.Model`` of your own. Your own head can also be the path of
            a file. It must end in logits.
        views: the number of views (random variants) of each training picture, or `Views`. The picture itself counts as
            a view.
        seed: the seed for initial values and for the order of the pictures.
        recipe: a recipe, instead of *phases*, *backbones*, *head*, *views* and *seed*. It can be the recipe of a join
            (see `join`).
        minutes: how long the call may take. topwork then searches for the network, the cut and the settings that give
            the lowest validation loss, and *phases* only name the cuts that it may use; by default, it uses all
            networks whose weights are on this machine. See `topwork.recipes.settings.Search`.
        parent: a finished run. The new run starts with the parent's weights. If no phases are given, the parent's last
            phase is used. The parent's pictures stay in their parts (train, val, test). Classes may be added or
            removed.
        head_first: whether to add a phase that trains only the head, before the other phases. It is added only if the
            first of the other phases trains layers of a pretrained network. By default, it is added with *phases* but
            not with *recipe*. It is never added with a parent, with your own head, or with random weights.
        out: the run folder; by default, a new folder in ``runs``, named after the data and the time.
        callbacks: your own Keras callbacks. The logs that they get contain ``val_loss``, ``val_accuracy``, ``val_auc``
            and ``train_loss``. `Run.resume` does not restore the state of the callbacks.
        strict: whether a picture that cannot be read is an error.
        jobs: the number of processors to use; by default, all that this process may use.
        report: whether to write ``report.html`` into the run folder, without what takes long; see `Run.report`.
        progress: whether to show progress bars and messages.

    Returns:
        The finished run.

    Raises:
        TopworkError: always as one of its subclasses. The message says what is wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.train("flowers/", phases=[tw.Phase("mobilenet_v2@pool", epochs=25)])  # doctest: +SKIP
    """
    refuse_misplaced(unnamed, others)
    options = Options(out, callbacks, strict, jobs, report)
    origin = Folder(parent.path if isinstance(parent, Run) else parent) if parent is not None else None
    if recipe is None and origin and not phases:
        recipe = warm_start.recipe(origin)
    else:
        recipe = chosen(phases, backbones, head, views, seed, recipe, minutes)
    course: Course | joining.Joining | searching.Searching
    if recipe.search:
        refuse_early(data, recipe)
        course = searching.prepared(data, recipe, origin, options)
    elif recipe.join:
        course = joining.prepared(data, recipe, origin, options)
    else:
        first = phases is not None if head_first is None else head_first
        refuse_early(data, recipe)
        recipe = completed(recipe, first and origin is None, callbacks)
        course = prepared(data, recipe, origin, options)
    say(f"{course.data}.")
    try:
        course.run()
    except TopworkError:
        course.folder.abandon()
        raise
    if not recipe.join:
        remark(course.data, is_child=origin is not None)
    run = Run(course.folder.path)
    better = "" if isinstance(course, joining.Joining) else course.better
    before = origin.path if origin and not origin.is_final else None  # a model of folds learned from all pictures
    findings = course.findings if isinstance(course, Course) else ()
    next_steps.tell(run.path, course.data, run.results.test, better, before, findings)
    return run


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
    """Join finished runs: combine their probabilities (late fusion). The layers of the runs are not trained again.

    Args:
        members: two or more finished runs, with the same classes and the same picture columns.
        rule: ``"mean"``, ``"weighted"`` or ``"stacked"``; see `topwork.recipes.settings.Join`.
        data: the pictures on which the rule is fitted and the join is tested. A picture from the data of a member stays
            in the part (train, val or test) that it has in that member. By default, the members' pictures are used.
            All members must then have the same pictures.
        out, strict, jobs, progress: as in `train`.

    Returns:
        A finished run like any other. Its folder contains copies of the members.

    Raises:
        TopworkError: always as one of its subclasses. The message says what is wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.join(["runs/a", "runs/b"], "weighted", out="runs/both")  # doctest: +SKIP
        >>> run.results.join.weights  # doctest: +SKIP
        [0.61, 0.39]
    """
    paths = tuple(str(member.path if isinstance(member, Run) else member) for member in members)
    return train(data, recipe=Recipe(join=Join(paths, rule)), out=out, strict=strict, jobs=jobs, progress=progress)


def refuse_early(data: Any, recipe: Recipe) -> None:
    """Refuse unknown backbones and an unusable ``TOPWORK_HOME``. Refuse wrong data before weights are downloaded.

    Raises:
        UnknownBackbone: no backbone has that name.
        DatasetError: as in `topwork.data.readers.look`.
        MachineError: as in `topwork.system.files.check`.
    """
    for number, phase in enumerate(recipe.phases, 1):
        for name in {term.backbone for term in phase.terms}:
            if recipe.backbones[name].model is None:
                with at(f"phase.{number}.cut"):
                    networks.record(name)
    if not isinstance(data, Dataset) and not all(map(pretrained.is_at_hand, recipe.backbones.values())):
        look(data, recipe.data)
    files.check()
