"""The results of a run: measure its test part, save and plot the answers, and add notes that explain the scores.

Keras' ``fit`` reports the training loss as the optimizer saw it: with dropout, and averaged over an epoch while the
weights changed. The journal also has a second training loss, measured in inference mode like the validation loss. With
these two, `gap` explains a validation loss below the training loss. The difference between the two training losses is
caused by training mode; the difference between the second training loss and the validation loss, by the pictures.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from topwork.data.dataset import Dataset
from topwork.recipes.recipe import Recipe
from topwork.runs import predictions
from topwork.runs.folder import Folder
from topwork.runs.journal import Epoch, kept_epochs
from topwork.runs.scores import AsStored, Results, Scores
from topwork.runs.search import tried
from topwork.scoring import intervals, metrics
from topwork.scoring.answers import Answers, Trained, answered, measured_scores
from topwork.scoring.drawing import Pencil
from topwork.scoring.gallery import gallery
from topwork.store.examples import StoredActivations
from topwork.system.advice import either
from topwork.system.messages import counted, duration, say

AGREE = 0.95
"""If the share of equal answers is below this, `tell` reports how many answers the trunk's precision changes.

Even where bfloat16 costs no accuracy, it changes a few answers in a hundred: those that are nearly tied.
"""


def gap(journal: Sequence[Epoch], recipe: Recipe, pictures: int) -> str | None:
    """Return a sentence on why the kept epoch's validation loss is below its training loss; ``None`` if it is not.

    Args:
        journal: the run's journal.
        recipe: the run's recipe; the sentence names the options that have an effect in training mode only.
        pictures: the number of validation pictures.

    Example:
        >>> line = Epoch(phase=1, cut="vgg16@pool", epoch=3, loss=0.5, train_loss=0.2, val_loss=0.3)
        >>> recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
        >>> print(gap([line], recipe, 61))
        In phase 1, epoch 3, the validation loss (0.300) lies below the training loss that the optimizer saw (0.500), \
for that is taken in training mode (dropout, weights that move within the epoch): in inference mode, as validation \
is, the training pictures come to 0.200.
    """
    trained = [line for line in kept_epochs(journal) if line.epoch]  # epoch 0 has the weights of the phase before
    made = trained[-1] if trained else None
    if made is None or made.loss is None or made.train_loss is None or made.val_loss is None:
        return None
    seen, same, val = made.loss, made.train_loss, made.val_loss
    if not all(map(isfinite, (seen, same, val))) or val >= seen:
        return None

    head, training = recipe.head, recipe.training
    raises = {
        "dropout": head.dropout > 0 and not head.file,
        "augmented views": recipe.views.count > 1,
        "label smoothing": training.label_smoothing > 0,
        "class weights": training.class_weight != "none",
        "balanced sampling": training.sampling != "none",
    }
    mode = ", ".join([*(name for name, so in raises.items() if so), "weights that move within the epoch"])
    easier = f"the validation pictures ({pictures:,}) happen to be easier"
    start = (
        f"In phase {made.phase}, epoch {made.epoch}, the validation loss ({val:.3f}) lies below the training "
        f"loss that the optimizer saw ({seen:.3f})"
    )
    measured = f"in inference mode, as validation is, the training pictures come to {same:.3f}"
    if same <= val:
        return f"{start}, for that is taken in training mode ({mode}): {measured}."
    if same >= seen:
        return f"{start}, for {easier}: {measured}."
    return (
        f"{start}: {measured}, so that {seen - same:.3f} of the difference is training mode ({mode}), and "
        f"{same - val:.3f} that {easier}."
    )


def warned(found: Scores) -> list[str]:
    """Return a warning if the accuracy is not significantly above the share of the largest class; else an empty list.

    There is a warning if the interval of the accuracy contains that share, or is below it.

    Args:
        found: from `topwork.scoring.metrics.measure`. There is no warning if all pictures are of one class.

    Example:
        >>> import numpy as np
        >>> found = metrics.measure(np.array([0, 0, 1]), np.eye(2)[[0, 1, 1]], ["daisy", "rose"])
        >>> warned(found)[0]
        "As far as 3 pictures tell, this is no better than always answering 'daisy', which is right for 0.667 of them."
    """
    counts = {label: each.support for label, each in found.classes.items()}
    largest = max(counts, key=counts.__getitem__)
    total = found.pictures
    if counts[largest] == total or found.accuracy.low > counts[largest] / total:
        return []
    return [
        f"As far as {total:,} pictures tell, this is no better than always answering {largest!r}, "
        f"which is right for {counts[largest] / total:.3f} of them."
    ]


def conclude(
    folder: Folder,
    model: Trained,
    data: Dataset,
    trained_on: StoredActivations,
    exact: StoredActivations,
    pencil: Pencil,
) -> Results:
    """Measure the test part of a trained run, write its predictions, and draw its plots.

    Args:
        folder: the run.
        model: the model with its final weights.
        data: the run's dataset.
        trained_on: the activations that the last phase read.
        exact: the activations of the test part in float32.
        pencil: draws the plots.

    Returns:
        The run's results, without ``cost``.
    """
    journal = folder.journal.epochs()
    draw_plots(pencil, folder, data, ["curves.png", "search.png"])
    results, answers = examined(folder, model, data, exact, pencil)
    notes = [*results.notes, *explained(folder, data), *searched(folder, results.test)]
    results = replace(results, notes=notes, phases=kept_epochs(journal))
    if answers is None:
        return results
    as_stored = answered(model, trained_on, answers.rows, data.classes)
    return replace(results, as_stored=_compared(answers, as_stored, trained_on))


def examined(
    folder: Folder, model: Trained, data: Dataset, exact: StoredActivations, pencil: Pencil
) -> tuple[Results, Answers | None]:
    """Measure, save and plot the test part of any run. The answers are ``None`` if there is no test part."""
    notes = list(data.notes)
    used = {name: one for run in folder.members or [folder] for name, one in run.recipe.backbones.items()}
    random = [repr(name) for name, backbone in used.items() if backbone.weights == "random"]
    if random:
        notes.append(f"Random weights in {', '.join(random)}: nothing below the cut was ever trained.")
    results = Results(accuracy=None, pictures=data.counts(), left_out=len(data.left_out), notes=notes)
    if not data.part("test"):
        return results, None
    bad, taken = exact.failures(), exact.requests[0].data.rows
    rows = [row for row in taken if not any(content in bad for _, content in row.pictures)]
    answers = answered(model, exact, rows, data.classes)
    scores = measured_scores(folder, answers, data.classes)
    keep(pencil, folder.path, data, answers, scores)
    sample = len(taken) if len(taken) < len(data.part("test")) else None
    notes = [*notes, *warned(scores)]
    return replace(results, accuracy=scores.accuracy, notes=notes, test=scores, sample=sample), answers


def lacks(folder: Folder) -> list[str]:
    """Return the names of the plot files that a finished run lacks, because they could not be drawn."""
    about = folder.environment
    names = [] if folder.origins else ["curves.png"]
    names += ["search.png"] if tried.read(folder.path) else []
    if (folder.path / "predictions.csv").exists():
        names += ["confusion.png"] + (["predictions.png"] if about["data"] or about.get("source") else [])
    return [name for name in names if not (folder.path / name).exists()]


def draw_lacking(folder: Folder, data: Dataset, answers: Answers | None = None, scores: Scores | None = None) -> None:
    """Draw the plots that a finished run lacks, if their data are given, and report which plots were drawn."""
    lacking = lacks(folder)
    if not lacking:
        return
    with Pencil(folder.path) as pencil:
        draw_plots(pencil, folder, data, lacking, answers, scores)
    if made := [name for name in lacking if (folder.path / name).exists()]:
        say(f"Drawn, because the run lacked them: {', '.join(made)}")


def draw_plots(
    pencil: Pencil,
    folder: Folder,
    data: Dataset,
    names: Sequence[str],
    answers: Answers | None = None,
    scores: Scores | None = None,
) -> None:
    """Draw the plots of a run that are in *names*; skip a plot if it needs answers or scores that are not given."""
    if "curves.png" in names:
        journal = [epoch.as_json() for epoch in folder.journal.epochs()]
        pencil.draw("charts.curves", folder.path / "curves.png", journal, auc=len(data.classes) == 2)
    if "search.png" in names and (tries := tried.read(folder.path)):
        pencil.draw("tries.tries", folder.path / "search.png", [one.as_json() for one in tries])
    if answers is not None and scores is not None:
        draw_answers(pencil, folder.path, data, names, answers, scores)


ANSWERED = ("confusion.png", "predictions.png")
KEPT = ("predictions.csv", "wrong.csv", *ANSWERED)
"""The files that `keep` writes."""


def keep(pencil: Pencil, place: Path, data: Dataset, answers: Answers, scores: Scores) -> None:
    """Write answers into a folder: all of them, the wrong ones, their confusion matrix, and a plot of some of them."""
    rows, probabilities = answers.rows, answers.probabilities
    predictions.write(place / "predictions.csv", rows, probabilities, data.classes)
    predictions.write_mistakes(place / "wrong.csv", predictions.mistakes(rows, probabilities, data.classes))
    if not all(map(str.isascii, data.classes)):  # plots show numbers where no font has the characters
        lines = (f"#{number} {label}\n" for number, label in enumerate(data.classes, 1))
        (place / "classes.txt").write_text("".join(lines), encoding="utf-8")
    draw_answers(pencil, place, data, ANSWERED, answers, scores)


def draw_answers(
    pencil: Pencil, place: Path, data: Dataset, names: Sequence[str], answers: Answers, scores: Scores
) -> None:
    """Draw those of the plots `ANSWERED` that are in *names* into a folder."""
    if "confusion.png" in names:
        pencil.draw("charts.confusion", place / "confusion.png", scores.confusion, data.classes)
    if "predictions.png" in names and (data.root or data.pixels is not None):
        shown = gallery(data, answers.rows, answers.labels, answers.probabilities)
        pencil.draw("sheets.predictions", place / "predictions.png", shown)


def explained(folder: Folder, data: Dataset) -> list[str]:
    """Return notes on the training: the sentence from `gap`, and whether validation pictures were learned."""
    journal = folder.journal.epochs()
    found = gap(journal, folder.recipe, len(data.part("val")))
    last = kept_epochs(journal)[-1:]
    learned = (
        "The head was solved again on the training and the validation part together (refit). The validation scores of "
        "the last phase are those of folds of both parts; 'evaluate' on the validation part measures what was learned."
    )
    was_refitted = bool(last) and folder.recipe.phases[-1].refit and last[0].fold_loss is not None
    return [*([found] if found else []), *([learned] if was_refitted else [])]


def searched(folder: Folder, test: Scores | None) -> list[str]:
    """Return a note on the optimism of a search: the score by which it chose, against the score on the test part."""
    tries = [one for one in tried.read(folder.path) if one.accuracy is not None]
    kept = next((one for one in tries if one.kept), None)
    if kept is None or kept.accuracy is None or test is None or len(tries) == 1:
        return []
    chosen, rate = kept.accuracy, test.accuracy
    low, high = intervals.difference(rate.value, (rate.low, rate.high), chosen.value, (chosen.low, chosen.high))
    count, less = counted(kept.pictures, "validation picture"), f"{chosen.value - rate.value:+.3f}"
    return [
        f"The search compared {len(tries)} models and kept the one with accuracy {chosen.value:.3f} on {count}. On the "
        f"test part, which chose nothing, it is {rate.value:.3f}: validation less test is {less} "
        f"(95 % interval {low:+.3f} to {high:+.3f}). The best of many is also the luckiest, so the test score is the "
        "one to report."
    ]


def _compared(exact: Answers, as_stored: Answers, stored: StoredActivations) -> AsStored:
    """Return how answers from stored activations (bfloat16 trunks, float16) differ from the exported model's."""
    dtypes, backbone = [dtype for some in stored.dtypes for dtype in some or ()], stored.requests[0].backbone
    return AsStored(
        backbone=backbone.name,
        precision=backbone.precision,
        dtype=dtypes[0] if dtypes else None,
        accuracy=float((as_stored.probabilities.argmax(1) == as_stored.labels).mean()),
        **metrics.agreement(exact.probabilities, as_stored.probabilities).as_json(),
    )


def tell(results: Results) -> None:
    """Report the outcome in a sentence or two."""
    scores, stored = results.test, results.as_stored
    if scores is None:
        say("No test part: the accuracy on new pictures is unknown.")
        return
    count, rate = scores.pictures, scores.accuracy
    interval = f"95 % interval {rate.low:.3f} to {rate.high:.3f}"
    took = duration(results.cost["total"])
    shown = f"Test accuracy {rate.value:.3f} on {counted(count, 'picture')} ({interval})"
    say(f"{shown}; store, training and test took {took}.")
    for warning in warned(scores):
        say(warning)
    if stored and stored.precision != "float32" and stored.top1_agreement < AGREE:
        name = stored.backbone
        way = either(f'precision="float32" of the Backbone {name!r}', f"--set backbones.{name}.precision=float32")
        differ = count - round(stored.top1_agreement * count)
        say(
            f"For speed the frozen part ran in {stored.precision} while training; the finished model, tested here, "
            f"runs in float32. {differ:,} of {count:,} answers differ between the two. To train on "
            f"float32, slower: {way}"
        )
