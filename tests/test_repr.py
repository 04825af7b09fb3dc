"""What Python shows of a public object fits on a screen and says what it is."""

from dataclasses import replace

import numpy as np
import pytest

import topwork as tw
from topwork.scoring import metrics
from topwork.shipping.predictor import Guess

CLASSES = tuple(f"class {number:03}" for number in range(500))
ROWS = tuple(tw.Row(f"{label}/{i}.png", f"{i}", label, "train") for label in CLASSES for i in range(20))
RATE = tw.Rate(0.5, 0.25, 0.75)


def choice():
    right = np.ones(5000, bool)
    one = tw.Candidate("vgg16@pool", RATE, right, 1.5, 512, 1, 1, 1, 1.0, 1, None)
    return tw.Choice((one, replace(one, cut="vgg19@pool")), 5000, 5)


def recipe():
    phases = (tw.Phase("vgg16@pool"), tw.Phase("vgg16@block5_conv1", epochs=3))
    return tw.Recipe(phases, backbones={"vgg16": tw.Backbone("vgg16", size=64)})


def scores():
    labels = np.arange(5000) % 500
    return metrics.measure(labels, np.eye(500)[labels], CLASSES)


SHOWN = {
    "a dataset": (lambda: tw.Dataset("/d", ROWS), "<Dataset: 10,000 pictures in 500 classes of '/d' (10,000 train,"),
    "a choice": (choice, "<Choice: vgg16@pool is best (0.500, 95 % interval 0.250 to 0.750);"),
    "a candidate": (lambda: choice().best, "<Candidate: vgg16@pool, accuracy 0.500 (0.250 to 0.750)>"),
    "a recipe": (
        recipe,
        "Recipe(phases=(Phase(cut='vgg16@pool'), Phase(cut='vgg16@block5_conv1', epochs=3)), backbones=",
    ),
    "scores": (scores, "<Scores: accuracy 1.000 (0.999 to 1.000) on 5,000 pictures>"),
    "results": (
        lambda: tw.Results(accuracy=RATE, test=scores()),
        "<Results: accuracy 0.500 (0.250 to 0.750), 0 notes>",
    ),
    "results without a test": (lambda: tw.Results(accuracy=None), "<Results: no test part, 0 notes>"),
    "a guess": (
        lambda: Guess("a.png", "class 001", 0.75, dict.fromkeys(CLASSES, 0.1)),
        "<Guess: 'a.png', 'class 001', 0.750>",
    ),
}


@pytest.mark.parametrize("what", SHOWN)
def test_it_fits_on_a_screen(what):
    made, start = SHOWN[what]
    assert repr(made()).startswith(start)
    assert len(repr(made())) < 1000
