"""Training: a dataset and a recipe become a run."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork import inherit, joining
from topwork.course import Course
from topwork.cut import Cut
from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.holdout import as_before, check, known_parts, remark, with_validation
from topwork.data.readers import look, read_by
from topwork.errors import RecipeError, RunError, TopworkError, UsageError, at
from topwork.joining import Joining
from topwork.networks import heads
from topwork.networks.backbones import catalogue as networks
from topwork.networks.weights import official, pretrained
from topwork.phases import completed
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Data, Head, Join, NearCopies, Phase, Rule, Training, Views
from topwork.run import Run
from topwork.runs import lockfile
from topwork.runs.folder import Folder, fresh
from topwork.store.plan import steps
from topwork.system import files, keras_settings
from topwork.system.keras_settings import ours
from topwork.system.messages import say

if TYPE_CHECKING:
    import keras


@ours()
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
) -> Run:
    """Train a classifier.

    Args:
        data: what `topwork.read` takes, or what it gave (its splits are kept); for a join also ``None``.
        phases: stretches of training whose cuts move towards the input; by default one, at ``pool``.
        backbones: options of the backbones that the cuts name.
        head: ``"linear"``, ``"mlp"``, a `Head`, or your own ``keras.Model`` (or its file) that ends in logits.
        views: how many views of each training picture there are, or `Views`.
        seed: of initial values and order.
        recipe: all of this at once, in place of phases, backbones, head, views and seed; or a join (see `join`).
        parent: a finished run to start from: its weights, and its last phase where none is given. Pictures that it
            knew keep their parts; classes may come and go.
        head_first: whether a phase for the head alone goes before phases of which the first trains layers of a
            pretrained network; by default before those in *phases*, and not before those of a recipe. It never does
            with a parent, a head of your own, or random weights.
        out: the run folder; by default below ``runs``, named after data and time.
        callbacks: your own Keras callbacks; they find ``val_loss``, ``val_accuracy``, ``val_auc`` and ``train_loss``
            in their logs. Their own state is not covered by `Run.resume`.
        strict: make pictures that cannot be read an error.
        jobs: processors to use; by default all that this process may.

    Returns:
        The finished run.

    Raises:
        TopworkError: of the kind that says what was wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.train("flowers/", phases=[tw.Phase("mobilenet_v2@pool", epochs=25)])  # doctest: +SKIP
    """
    origin = Folder(parent.path if isinstance(parent, Run) else parent) if parent is not None else None
    if recipe is None and origin and not phases:
        recipe = inherit.recipe(origin)
    else:
        recipe = chosen(phases, backbones, head, views, seed, recipe)
    course: Course | Joining
    if recipe.join:
        course = _joining(data, recipe, origin, out, callbacks, strict, jobs)
    else:
        first = phases is not None if head_first is None else head_first
        refuse_early(data, recipe)
        recipe = completed(recipe, first and origin is None)
        course = prepared(data, recipe, origin, out, callbacks, strict, jobs)
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
) -> Run:
    """Join finished runs at their probabilities (late fusion); no layer of them is trained again.

    Args:
        members: two runs or more, with the same classes and picture columns.
        rule: ``"mean"``, ``"weighted"`` or ``"stacked"``; see `topwork.recipes.settings.Join`.
        data: the pictures to fit the rule on and to test; by default the members' own, which must be the same. A
            picture that a member knew keeps its part.
        out, strict, jobs: as of `train`.

    Returns:
        A finished run like any other; its folder holds copies of its members.

    Raises:
        TopworkError: of the kind that says what was wrong.

    Example:
        >>> import topwork as tw
        >>> run = tw.join(["runs/a", "runs/b"], "weighted", out="runs/both")  # doctest: +SKIP
        >>> run.results["join"]["weights"]  # doctest: +SKIP
        [0.61, 0.39]
    """
    paths = tuple(str(member.path if isinstance(member, Run) else member) for member in members)
    return train(data, recipe=Recipe(join=Join(paths, rule)), out=out, strict=strict, jobs=jobs)


def refuse_early(data: Any, recipe: Recipe) -> None:
    """Refuse names that do not exist and a home that cannot be used; and data, before weights are fetched for them.

    Raises:
        UnknownBackbone: no backbone has that name.
        DatasetError: as of `topwork.data.readers.look`.
        MachineError: as of `topwork.system.files.check`.
    """
    for number, phase in enumerate(recipe.phases, 1):
        for name in {term.backbone for term in Cut.parse(phase.cut).terms}:
            if recipe.backbones[name].model is None:
                with at(f"phase.{number}.cut"):
                    networks.record(name)
    if not isinstance(data, Dataset) and not all(map(pretrained.is_at_hand, recipe.backbones.values())):
        look(data, recipe.data)
    files.check()


def prepared(
    data: Any,
    recipe: Recipe,
    origin: Folder | None,
    out: str | Path | None,
    callbacks: "Sequence[keras.callbacks.Callback]",
    strict: bool,
    jobs: int | None,
) -> Course:
    """A new run of a `completed` recipe: its folder made, nothing computed yet; see `train`."""
    planned = steps(recipe)
    if origin:
        inherit.check(origin, recipe, planned)
    rows = _rows(data, recipe, strict)
    later = splits.gaps(rows.rows)  # these are told where the score is
    for note in rows.notes:
        if note not in later:
            say(note)
    how = rows.drawn or _without_draw(recipe.data)
    if not origin and not _is_heard(recipe.data, how):
        say("The data come with their parts: data.split, data.draw and data.seed play no part.")
    recipe = replace(recipe, data=how)
    rows = _after(origin, rows, how.near_copies) if origin else rows
    rows = with_validation(rows, recipe.training)
    check(rows, strict)
    _check_head(recipe, rows, origin)
    planned = [step.of(rows) for step in planned]
    path = out or fresh(Path("runs"), rows.name)
    folder = Folder.create(path, recipe, rows, origin, lockfile.known(recipe))
    return Course(folder, folder.recipe, rows, planned, callbacks, strict, jobs)


def _without_draw(asked: Data) -> Data:
    """The options of data that came with their parts: how they would have been drawn says nothing."""
    usual = Data()
    return replace(asked, split=usual.split, draw=usual.draw, seed=usual.seed)


def _is_heard(asked: Data, drawn: Data) -> bool:
    """Whether the data were drawn as a recipe asks; one of defaults asks for nothing."""
    wanted, found = ((one.split, one.draw, one.seed) for one in (asked, drawn))
    none = Data()
    return wanted in (found, (found[0], "auto", found[2]), (none.split, none.draw, none.seed))


def _after(origin: Folder, data: Dataset, near_copies: NearCopies) -> Dataset:
    """The dataset with what a run that starts from another keeps: the parts of known pictures, the classes' order."""
    known = origin.data()
    if set(known.classes) == set(data.classes):
        data = replace(data, order=known.classes)
    return as_before(data, known_parts(data, known, near_copies))


def _joining(
    data: Any,
    recipe: Recipe,
    origin: Folder | None,
    out: str | Path | None,
    callbacks: "Sequence[keras.callbacks.Callback]",
    strict: bool,
    jobs: int | None,
) -> Joining:
    """The same for a join, which hears nothing of training."""
    if origin or callbacks:
        raise UsageError(
            f"a join trains nothing: leave {'--from' if origin else 'the callbacks'} away, or train a member so."
        )
    return joining.prepared(None if data is None else _rows(data, recipe, strict), recipe, out, strict, jobs)


def _check_head(recipe: Recipe, data: Dataset, origin: Folder | None) -> None:
    if recipe.training.loss == "binary" and len(data.classes) != 2:
        raise RecipeError(
            f"training.loss = 'binary' is for two classes, and the data has {len(data.classes)}: use 'categorical'.",
            "training.loss",
        )
    if not recipe.head.file:
        return
    if not Path(recipe.head.file).is_file():
        raise RecipeError(f"no file {recipe.head.file!r}: head.file is the path of a .keras file.", "head.file")
    if origin and set(origin.data().classes) != set(data.classes):
        raise RunError(
            f"cannot start from {str(origin.path)!r}: its head is a file, for other classes than the data has. "
            "Only topwork's own heads take new classes: train without --from."
        )
    keras_settings.import_keras()
    heads.opened(Path(recipe.head.file), 1 if recipe.training.loss == "binary" else len(data.classes))


def chosen(
    phases: Sequence[Phase] | None = None,
    backbones: Sequence[Backbone] = (),
    head: Any = "linear",
    views: Views | int = 1,
    seed: int = 0,
    recipe: Recipe | None = None,
) -> Recipe:
    """The recipe that the words of `train` make, or are, checked.

    Raises:
        UsageError: a recipe and what it holds came side by side, or other phases than `Phase`.
        RecipeError, CutError: a word of it; see `Recipe.checked`.
    """
    if recipe is not None:
        _refuse_beside(phases=phases, backbones=backbones or None, head=head, views=views, seed=seed)
        return recipe.checked()
    if phases is None:
        backbone, why = official.default()
        say(why)
        phases, backbones = [Phase(f"{backbone.name}@pool")], [backbone, *backbones]
    if not isinstance(phases, Sequence) or not all(isinstance(phase, Phase) for phase in phases):
        raise UsageError(
            f"phases = {phases!r}: expected a list of topwork.Phase, as in [tw.Phase('mobilenet_v2@pool')]."
        )
    named = {backbone.name: pretrained.on_disk(backbone) for backbone in backbones}
    shown = Views(views) if isinstance(views, int) else views
    table = Recipe(tuple(phases), Data(), named, shown, Head(), Training(seed)).as_mapping()
    return Recipe.from_mapping(table | {"head": _head(head)})


def _refuse_beside(**given: Any) -> None:
    defaults = {"phases": None, "backbones": None, "head": "linear", "views": 1, "seed": 0}
    beside = [name for name, value in given.items() if value != defaults[name]]
    if beside:
        raise UsageError(f"a recipe came with {' and '.join(beside)} beside it: set what it holds in the recipe.")


def _head(head: Any) -> dict[str, Any]:
    if isinstance(head, str):
        return {"file" if head.endswith(".keras") else "kind": head}
    if not isinstance(head, Head):
        return {"file": str(pretrained.saved(head))}
    return {key: value for key, value in asdict(head).items() if value is not None}


def _rows(data: Any, recipe: Recipe, strict: bool) -> Dataset:
    return data if isinstance(data, Dataset) else read_by(data, recipe.data, strict=strict, decode=strict)
