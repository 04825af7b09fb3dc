"""Training: a dataset and a recipe become a run.

The trunk runs once per picture in a process beside, while this one imports Keras. Then each phase is one ``fit`` of
what is above its cut, on activations from the store; no phase ends worse than it began (law 7).
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork import lean, pretrained, runtimes, splits
from topwork.cut import Cut
from topwork.dataset import Dataset
from topwork.draw import Pencil
from topwork.errors import CutError, DatasetError, TopworkError
from topwork.evaluate import SAMPLE, conclude, sampled, tell
from topwork.export import checked
from topwork.extract import Extraction, Wanted, failures
from topwork.folder import Folder, fresh
from topwork.network import Network, create
from topwork.part import Part
from topwork.readers import read, refuse_left_out
from topwork.recipe import Backbone, Data, Head, Phase, Recipe, Training
from topwork.run import Run
from topwork.talk import Watch, say
from topwork.trunk import Trunk

if TYPE_CHECKING:
    import keras

HELD_OUT = 0.1
"""Share of the training part that becomes validation where there is none."""


def train(
    data: "str | Path | tuple | Dataset",
    *,
    phases: Sequence[Phase] | None = None,
    backbones: Sequence[Backbone] = (),
    head: Head | str = "linear",
    seed: int = 0,
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    strict: bool = False,
    jobs: int | None = None,
) -> Run:
    """Train a classifier.

    Args:
        data: what `topwork.read` takes, or what it gave (its splits are kept).
        phases: stretches of training whose cuts move towards the input; by default one, at ``pool``.
        backbones: options of the backbones that the cuts name.
        head: ``"linear"``, ``"mlp"`` or a `Head`.
        seed: of initial values and order.
        recipe: all of this at once, in place of phases, backbones, head and seed.
        out: the run folder; by default below ``runs``, named after data and time.
        callbacks: your own Keras callbacks; they find ``val_loss``, ``val_accuracy`` and ``train_loss`` in their logs.
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
    chosen = recipe or _recipe(phases, backbones, head, seed)
    found = {name: runtimes.resolved(pretrained.on_disk(b)) for name, b in chosen.backbones.items()}
    chosen = replace(chosen, backbones=found)
    wanted = _wanted(chosen)
    rows = data if isinstance(data, Dataset) else _read(data, chosen.data, strict)
    rows = _with_validation(rows, chosen.training)
    _check_rows(rows, strict)
    wanted = [replace(one, rows=rows.rows) for one in wanted]
    folder = Folder.create(out or fresh(Path("runs"), Path(rows.root).name or "arrays"), chosen, rows)
    try:
        return _train(folder, chosen, rows, wanted, callbacks, strict, jobs)
    except TopworkError:
        folder.abandon()
        raise


def _wanted(recipe: Recipe) -> list[Wanted]:
    """The fills of the phases; their words are checked before a million pictures are read."""
    terms = [Cut.parse(phase.cut).only for phase in recipe.phases]
    wanted = [Wanted(term, recipe.backbones[term.backbone], ()) for term in terms]
    for one in wanted:
        one.check(len(wanted) > 1)
    if len(wanted) > 1:
        _check_order([one.trunk() for one in wanted], recipe)
    return wanted


def _train(
    folder: Folder,
    recipe: Recipe,
    data: Dataset,
    wanted: list[Wanted],
    callbacks: Sequence[Any],
    strict: bool,
    jobs: int | None,
) -> Run:
    start = time.perf_counter()
    exact = replace(wanted[-1], rows=sampled(data.part("test"), SAMPLE), exact=True)
    with Pencil() as pencil, Watch() as watch, Extraction(data, [*wanted, exact], watch.report, jobs) as extraction:
        lean.import_keras()
        _check_optimizers(recipe)
        extraction.wait(0)
        data = _less_failures(folder, data, wanted[0], strict)
        trunks = [one.trunk() for one in wanted]
        network = create(recipe, trunks[-1], len(data.classes))
        trained = 0.0
        for number, below in enumerate(trunks, 1):
            extraction.wait(number - 1)
            trained += _phase(folder, recipe, number, network, below, wanted[number - 1], data, callbacks)
        folder.keep_weights(network.values())
        if data.pixels is not None:
            folder.keep_sample({row.path: data.pixels[int(row.path[2:-1])] for row in checked(data)})
        extraction.wait(len(wanted))
        results = conclude(folder, network, data, wanted[-1], exact, pencil)
        spent = {**watch.seconds, "head": trained, "total": time.perf_counter() - start}
        results["cost"] = {name: round(value, 3) for name, value in spent.items()}
        folder.keep_results(results)
    tell(results)
    return Run(folder.path)


def _phase(
    folder: Folder,
    recipe: Recipe,
    number: int,
    network: Network,
    below: Trunk,
    wanted: Wanted,
    data: Dataset,
    callbacks: Sequence[Any],
) -> float:
    """Train one phase; gives its seconds."""
    from topwork.phase import run_phase

    with wanted.store() as store:
        parts = {name: Part.of(store, data.part(name), data.classes) for name in ("train", "val")}
        return run_phase(network, below, parts, recipe, number, folder.note, callbacks).seconds


def _recipe(phases: Sequence[Phase] | None, backbones: Sequence[Backbone], head: Head | str, seed: int) -> Recipe:
    if phases is None:
        backbone, why = pretrained.default()
        say(why)
        phases, backbones = [Phase(f"{backbone.name}@pool")], [*backbones, backbone]
    wanted = {"kind": head} if isinstance(head, str) else asdict(head)
    named = {backbone.name: pretrained.on_disk(backbone) for backbone in backbones}
    table = Recipe(tuple(phases), Data(), named, Head(), Training(seed)).as_mapping()
    return Recipe.from_mapping(table | {"head": wanted})


def _read(data: Any, options: Data, strict: bool) -> Dataset:
    split = (options.split[0], options.split[1], options.split[2])
    return read(data, split=split, draw=options.draw, seed=options.seed, strict=strict, decode=strict)


def _with_validation(data: Dataset, training: Training) -> Dataset:
    """The dataset, 10 % of its training part moved to validation where it has none (never the test part)."""
    if data.part("val") or not data.part("train"):
        return data
    if not training.hold_out:
        say("No validation part, and holding one out is forbidden: the last weights are kept, not the best.")
        return data
    rows = tuple(replace(row, split=None) for row in data.part("train"))
    drawn = splits.draw(replace(data, rows=rows), (1 - HELD_OUT, HELD_OUT, 0.0), seed=training.seed)
    moved = {row.path for row in drawn.part("val")}
    note = f"No validation part: {len(moved)} of {len(rows)} training pictures are held out for it."
    say(note)
    kept = tuple(replace(row, split="val") if row.path in moved else row for row in data.rows)
    return replace(data, rows=kept, notes=(*data.notes, note))


def _check_rows(data: Dataset, strict: bool) -> None:
    train_rows = data.part("train")
    if not train_rows:
        raise DatasetError(
            "the training part is empty: give pictures the split 'train', or draw splits with a larger share."
        )
    lacking = [label for label in data.classes if label not in {row.label for row in train_rows}]
    if lacking:
        names = ", ".join(map(repr, lacking))
        raise DatasetError(
            f"no training picture of {names}: a class must occur in the training part. "
            'Give it more pictures, leave it out, or draw otherwise (data.draw = "stratified", or another data.seed).'
        )
    if strict:
        refuse_left_out(data)


def _less_failures(folder: Folder, data: Dataset, wanted: Wanted, strict: bool) -> Dataset:
    """The dataset less the pictures that could not be decoded, named and written to the run's pictures.csv."""
    bad = failures(wanted)
    data = data.without(bad)
    for gone in data.left_out[:10]:
        say(f"left out: {gone.path}: {gone.reason}")
    if len(data.left_out) > 10:
        say(f"left out: {len(data.left_out) - 10} more; 'topwork read' names them all.")
    if bad:
        folder.keep_data(data)
        _check_rows(data, strict)
    return data


def _check_optimizers(recipe: Recipe) -> None:
    from topwork.phase import optimizer

    for phase in recipe.phases:
        optimizer(phase)


def _check_order(trunks: Sequence[Trunk], recipe: Recipe) -> None:
    for number in range(1, len(trunks)):
        if trunks[number].frontier.below & ~trunks[number - 1].frontier.below:
            before, after = recipe.phases[number - 1].cut, recipe.phases[number].cut
            raise CutError(
                f"phase {number + 1} ({after}) freezes what phase {number} ({before}) may have trained: "
                "cuts must move towards the input. Swap the two phases."
            )
