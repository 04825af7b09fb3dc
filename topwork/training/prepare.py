"""Prepare a run: complete and check its recipe, read its data, prevent leaks between parts, and make its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from topwork.cut import Cut
from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.holdout import as_before, check, known_parts, with_validation
from topwork.data.readers import read_by
from topwork.errors import RecipeError, RunError, UsageError, at, nearest
from topwork.networks import heads
from topwork.networks.weights import official, pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import (
    OPENED,
    SOLVER,
    Backbone,
    Data,
    Head,
    Options,
    Phase,
    Search,
    Training,
    Views,
)
from topwork.runs import lockfile
from topwork.runs.creation import create, fresh
from topwork.runs.folder import Folder
from topwork.store.engines.local import begin
from topwork.store.plan import Step, steps
from topwork.store.runtimes import base
from topwork.system import keras_settings
from topwork.system.advice import either
from topwork.system.messages import say
from topwork.training import warm_start
from topwork.training.trainer import Course

USUAL = ("adam", "adamw", "sgd", "rmsprop", "nadam", "adagrad")
"""Optimizers of all versions of Keras 3. To find out whether Keras has any other name, it must be imported."""

ARGUMENTS = (
    *("phases", "backbones", "head", "views", "seed", "recipe", "minutes", "parent"),
    *("head_first", "out", "callbacks", "strict", "jobs", "report", "progress"),
)
"""The arguments of `train` after the data."""

PLACES = {
    Phase: ("a phase: phases=[tw.Phase({})]", {"cut": "efficientnet_lite0@pool"}),
    Backbone: ("a backbone: backbones=[tw.Backbone({})]", {"name": "efficientnet_lite0"}),
    Data: ("the data: tw.read(data, {})", {}),
}
"""Where arguments belong that `train` lacks, each with what an example needs."""


def prepared(data: Any, recipe: Recipe, origin: Folder | None, options: Options) -> Course:
    """Make the folder of a new run from a `completed` recipe and return the run; nothing is computed. See `train`."""
    planned = steps(recipe)
    if origin:
        warm_start.check(origin, recipe, planned)
    begin(request for step in planned for request in step.requests)
    folder, rows = made(data, recipe, planned, origin, options)
    return Course(folder, folder.recipe, rows, [step.of(rows) for step in planned], options)


def made(
    data: Any, recipe: Recipe, planned: Sequence[Step], origin: Folder | None, options: Options
) -> tuple[Folder, Dataset]:
    """Read the pictures of a new run, and make its folder; return both."""
    rows = data if isinstance(data, Dataset) else read_by(data, recipe.data, options.strict, decode=options.strict)
    later = splits.gaps(rows.rows)  # these notes are reported with the results
    for note in rows.notes:
        if note not in later:
            say(note)
    usual = Data()
    how = rows.drawn or replace(recipe.data, split=usual.split, draw=usual.draw, seed=usual.seed)
    asked, drawn, default = ((one.split, one.draw, one.seed) for one in (recipe.data, how, usual))
    if not origin and asked not in (drawn, (drawn[0], "auto", drawn[2]), default):
        say("The data come with their own parts: data.split, data.draw and data.seed are not used.")
    recipe = replace(recipe, data=how)
    if origin:
        known = origin.data()
        rows = replace(rows, order=known.classes) if set(known.classes) == set(rows.classes) else rows
        rows = as_before(rows, known_parts(rows, known, how.near_copies))
    rows = with_validation(rows, recipe.training)
    check(rows, options.strict)
    _check_head(recipe, rows, origin)
    for step in planned:
        step.of(rows)  # refuses a cut that names a column which the data do not have
    path = options.out or fresh(Path("runs"), rows.name)
    return create(path, recipe, rows, origin, lockfile.known(recipe)), rows


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
            f"cannot start from {str(origin.path)!r}: its head is a file for other classes than those of the data. "
            f"Only topwork's own heads take new classes: train without {either('parent', '--from')}."
        )
    keras_settings.import_keras()
    heads.opened(Path(recipe.head.file), 1 if recipe.training.loss == "binary" else len(data.classes))


def refuse_misplaced(unnamed: Sequence[Any], others: Mapping[str, Any]) -> None:
    """Refuse arguments of `train` without a name, and names that it lacks. Say where they belong.

    Raises:
        UsageError: there are such arguments.
    """
    if unnamed:
        told = f"an argument has no name: {unnamed[0]!r}."
        others = {"cut": unnamed[0]} if isinstance(unnamed[0], str) and "@" in unnamed[0] else {}
    elif others:
        told = "there is no argument {!r} (= {!r}).".format(*next(iter(others.items())))
    else:
        return
    name = next(iter(others), "")
    for kind, (where, needed) in PLACES.items():
        known = {field.name for field in fields(kind)}
        if name in known:
            words = [f"{key}={value!r}" for key, value in {**needed, **others}.items() if key in known]
            raise UsageError(f"{told} It belongs in {where.format(', '.join(words))}.")
    names = f"The arguments after the data are {', '.join(ARGUMENTS)}, each with its name"
    raise UsageError(f"{told} {names}{nearest(name, ARGUMENTS) or '.'}")


def chosen(
    phases: Sequence[Phase] | None = None,
    backbones: Sequence[Backbone] = (),
    head: Any = "linear",
    views: Views | int = 1,
    seed: int = 0,
    recipe: Recipe | None = None,
    minutes: float | None = None,
    **others: Any,
) -> Recipe:
    """Make the recipe from the arguments of `train`, and check it.

    Raises:
        UsageError: a recipe is given together with settings that belong in it, or *phases* is not a list of `Phase`; or
            from `refuse_misplaced`.
        RecipeError, CutError: a setting is wrong; see `Recipe.checked`.
    """
    refuse_misplaced((), others)
    if recipe is not None:
        given = {"phases": phases, "backbones": backbones or None, "head": head, "views": views, "seed": seed}
        given["minutes"] = minutes
        defaults = {"phases": None, "backbones": None, "head": "linear", "views": 1, "seed": 0, "minutes": None}
        beside = [name for name, value in given.items() if value != defaults[name]]
        if beside:
            raise UsageError(f"a recipe came together with {' and '.join(beside)}: set these in the recipe.")
        return recipe.checked()
    if phases is None and minutes is None:
        backbone, why = official.default()
        say(why)
        phases, backbones = [Phase(f"{backbone.name}@pool")], [backbone, *backbones]
    phases = [] if phases is None else phases
    if not isinstance(phases, Sequence) or not all(isinstance(phase, Phase) for phase in phases):
        raise UsageError(
            f"phases = {phases!r}: expected a list of topwork.Phase, as in [tw.Phase('mobilenet_v2@pool')]."
        )
    named = {backbone.name: pretrained.on_disk(backbone) for backbone in backbones}
    shown = Views(views) if isinstance(views, int) else views
    search = None
    if minutes is not None:
        if any(phase != Phase(phase.cut) for phase in phases):
            raise UsageError("a search chooses the settings of the phases: give only their cuts, or omit minutes.")
        search, phases = Search(minutes, tuple(phase.cut for phase in phases)), []
    table = Recipe(tuple(phases), Data(), named, shown, Head(), Training(seed), search=search).as_mapping()
    if isinstance(head, Head):
        table["head"] = {key: value for key, value in asdict(head).items() if value is not None}
    elif isinstance(head, str):
        table["head"] = {"file" if head.endswith(".keras") else "kind": head}
    else:
        table["head"] = {"file": str(pretrained.saved(head))}
    return Recipe.from_mapping(table)


def completed(recipe: Recipe, head_first: bool, callbacks: Sequence[Any] = ()) -> Recipe:
    """Return the recipe as a run saves it: with the backbones' files and runtimes, and each phase solved or iterated.

    Args:
        recipe: as the user wrote it.
        head_first: whether a phase that trains only the head may be added before the others. It is added, with a
            message, if the first phase would train layers of a pretrained network below a new head from topwork,
            because the gradients of an untrained head damage these layers.
        callbacks: the user's Keras callbacks; with callbacks, no phase is solved, unless the recipe says so.

    Raises:
        UsageError: a setting has no effect or does not exist. The message numbers the phases as the user wrote them.
    """
    recipe.refuse_idle()
    found = {name: base.resolved(pretrained.on_disk(one)) for name, one in recipe.backbones.items()}
    recipe = replace(recipe, backbones=found)
    planned = steps(recipe)
    phases = []
    for number, step in enumerate(planned, 1):
        with at(f"phase.{number}"):
            phases.append(_decided(step, recipe, is_iterated=bool(callbacks)))
            if phases[-1].optimizer not in (SOLVER, *USUAL):  # before pictures are read, although Keras takes seconds
                keras_settings.import_keras()
                from topwork.training.iteration.optimizers import optimizer

                optimizer(phases[-1].iteration, 1)
            if step.phase.refit and number < len(planned):
                raise RecipeError("refit = true is for the last phase: other phases need the validation part.", "refit")
    is_random = all(backbone.weights == "random" for backbone in recipe.backbones.values())
    if not head_first or not planned[0].opens or recipe.head.file or is_random:
        return replace(recipe, phases=tuple(phases))
    frozen = Cut(tuple(replace(term, place=term.end) for term in planned[0].terms))
    first = _decided(replace(planned[0], phase=Phase(str(frozen)), terms=frozen.terms), recipe, bool(callbacks))
    follow = "phase 2 is" if len(phases) == 1 else f"phases 2 to {len(phases) + 1} are"
    without = either("head_first=False", "--no-head-first")
    say(
        f"phase 1 trains the head alone ({first.cut}), so that a new head does "
        f"not damage pretrained layers; {follow} as you asked. {without} omits this phase."
    )
    return replace(recipe, phases=(first, *phases))


def _decided(step: Step, recipe: Recipe, is_iterated: bool) -> Phase:
    """Return a phase as a run saves it: solved, or with all the settings of its iteration.

    Raises:
        RecipeError: the phase cannot be solved as it asks, or has settings of both ways.
    """
    phase = step.phase
    given = [f"{name} = {getattr(phase, name)!r}" for name in phase.iterated_by]
    is_live = recipe.views.mode == "live" and recipe.views.count > 1
    has_linear_head = recipe.head.kind == "linear" and not recipe.head.file
    can = has_linear_head and not step.opens and not is_live
    way = "with live views" if is_live else "layers of a backbone" if step.opens else "a head that is not linear"
    if phase.is_solved and not can:
        raise RecipeError(
            f"optimizer = {SOLVER!r} solves a linear head on frozen layers, and this phase trains {way}: "
            "use the name of a Keras optimizer, or omit it.",
            "optimizer",
        )
    if phase.is_solved and given:
        raise RecipeError(
            f"optimizer = {SOLVER!r} solves the head at once, without {' and '.join(given)}: omit one of them.",
            phase.iterated_by[0],
        )
    if phase.is_solved or (phase.optimizer == "auto" and can and not given and not is_iterated):
        if phase.precision not in ("auto", "float32"):
            raise RecipeError(
                f"precision = {phase.precision!r} is for a phase in epochs, and this one is solved: omit "
                "precision, or give epochs.",
                "precision",
            )
        return replace(phase, optimizer=SOLVER)
    if phase.optimizer != "auto":
        given = [f"optimizer = {phase.optimizer!r}", *given]
    why = f"trains {way}" if not can else f"has {' and '.join(given) or 'callbacks of your own'}"
    if phase.refit:
        raise RecipeError(f"refit = true is for a phase that is solved, and this one {why}: omit refit.", "refit")
    if phase.l2 != "auto":
        raise RecipeError(
            f"l2 = {phase.l2:g} is for a phase that is solved, and this one {why}. In epochs, use weight_decay.", "l2"
        )
    if step.opens and phase.learning_rate is None:
        phase = replace(phase, learning_rate=OPENED.learning_rate)
    if step.opens and phase.schedule is None:
        usual = min(OPENED.warmup_epochs, phase.iteration.epochs / 4)
        warm_up = usual if phase.warmup_epochs is None else phase.warmup_epochs
        phase = replace(phase, schedule=OPENED.schedule, warmup_epochs=warm_up)
    return replace(phase, **asdict(phase.iteration))
