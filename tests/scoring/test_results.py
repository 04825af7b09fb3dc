"""The sentences on a run's results: a validation loss below the training loss, and answers that a precision changes."""

from math import nan

import numpy as np
import pytest

from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Head, Phase, Training, Views
from topwork.runs.journal import Epoch
from topwork.runs.scores import AsStored, Rate, Results
from topwork.scoring.metrics import measure
from topwork.scoring.results import gap, tell

PLAIN = Recipe((Phase("vgg16@pool"),), head=Head(dropout=0.0))


def line(epoch, loss, train_loss, val_loss, phase=1):
    return Epoch(phase=phase, cut="x@pool", epoch=epoch, loss=loss, train_loss=train_loss, val_loss=val_loss)


def test_a_validation_loss_above_the_training_loss_needs_no_word():
    assert gap([line(1, 0.3, 0.2, 0.4)], PLAIN, 61) is None
    assert gap([line(1, 0.3, 0.2, 0.3)], PLAIN, 61) is None


def test_an_easy_validation_part():
    assert gap([line(2, 0.5, 0.51, 0.3)], PLAIN, 61) == (
        "In phase 1, epoch 2, the validation loss (0.300) lies below the training loss that the optimizer saw (0.500), "
        "for the validation pictures (61) happen to be easier: in inference mode, as validation is, the training "
        "pictures come to 0.510."
    )


def test_both_reasons_at_once_are_told_apart():
    assert gap([line(2, 0.5, 0.4, 0.25)], PLAIN, 1) == (
        "In phase 1, epoch 2, the validation loss (0.250) lies below the training loss that the optimizer saw (0.500): "
        "in inference mode, as validation is, the training pictures come to 0.400, so that 0.100 of the difference is "
        "training mode (weights that move within the epoch), and 0.150 that the validation pictures (1) "
        "happen to be easier."
    )


def test_what_happens_in_training_alone_is_named():
    recipe = Recipe(
        (Phase("vgg16@pool"),),
        views=Views(4),
        head=Head(dropout=0.5),
        training=Training(label_smoothing=0.1, class_weight="balanced", sampling="balanced"),
    )
    named = "(dropout, augmented views, label smoothing, class weights, balanced sampling, weights that move within"
    assert named in gap([line(1, 0.5, 0.2, 0.3)], recipe, 61)


def test_the_epoch_is_the_one_whose_weights_were_kept():
    first = [line(0, None, 1.7, 1.6), line(1, 0.9, 0.8, 0.7), line(2, 0.5, 0.2, 0.3)]
    worse = [line(0, None, 0.2, 0.31, phase=2), line(1, 0.4, 0.2, 0.35, phase=2)]
    assert gap([*first, *worse], PLAIN, 61).startswith("In phase 1, epoch 2, the validation loss (0.300)")
    better = [line(0, None, 0.2, 0.36, phase=2), line(1, 0.4, 0.2, 0.35, phase=2)]
    assert gap([*first, *better], PLAIN, 61).startswith("In phase 2, epoch 1, the validation loss (0.350)")


def test_what_was_not_measured_is_passed_over():
    without = line(1, 0.5, 0.4, None)
    assert gap([without, line(2, 0.5, nan, 0.1), line(2, 0.5, None, 0.1), line(3, None, 0.2, 0.1)], PLAIN, 0) is None
    assert gap([], PLAIN, 0) is None


@pytest.mark.parametrize(
    ("precision", "agreement", "differ"), [("bfloat16", 0.96, None), ("bfloat16", 0.9, 10), ("float32", 0.9, None)]
)
def test_a_precision_that_changes_many_answers_is_told(capsys, precision, agreement, differ):
    labels = np.arange(100) % 2
    scores = measure(labels, np.eye(2)[labels] * 0.8 + 0.1, ["cat", "dog"])
    stored = AsStored(
        backbone="vgg16",
        precision=precision,
        dtype="float16",
        accuracy=1.0,
        largest_difference=0.1,
        top1_agreement=agreement,
        disagreements=round(100 * (1 - agreement)),
    )
    rate = Rate(1.0, 0.96, 1.0)
    tell(Results(accuracy=rate, pictures={}, left_out=0, test=scores, as_stored=stored, cost={"total": 1.5}))
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Test accuracy 1.000 on 100 pictures (")
    assert said[0].endswith("; store, training and test took 1.5 s.")
    assert [line for line in said if "answers differ" in line] == [
        "For speed the frozen part ran in bfloat16 while training; the finished model, tested here, runs in float32. "
        f"{differ} of 100 answers differ between the two. To train on float32, slower: "
        "precision=\"float32\" of the Backbone 'vgg16'"
    ] * bool(differ)
