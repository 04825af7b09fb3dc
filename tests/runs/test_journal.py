"""The journal shows which epoch the Keeper kept in each phase, whatever happened on the way."""

import json
import random
from dataclasses import replace
from math import inf, isnan, nan
from types import SimpleNamespace

import pytest

from topwork.recipes.settings import Iteration
from topwork.runs.journal import Epoch, kept_epochs
from topwork.training.iteration import callbacks
from topwork.training.iteration.callbacks import Keeper


def journey(phases, monkeypatch, parts=("train", "val"), stop_at=()):
    """Run Keepers on made-up scores; return the journal, and for each phase the epoch that its Keeper kept.

    After each epoch in *stop_at* a new Keeper continues from the one before, as in a resumed run.
    """
    lines, ends = [], []
    for number, scores in enumerate(phases, 1):
        queue = [value for score in scores for value in ([score] if parts == ("train",) else [1.0, score])]
        monkeypatch.setattr(callbacks, "score", lambda model, part, queue=queue: {"loss": queue.pop(0)})
        weights, about = SimpleNamespace(at=0), {"phase": number, "cut": "x@pool"}

        def keeper(weights=weights, about=about):
            def note(line):
                lines.append(json.dumps(line.as_json(), allow_nan=False))

            new = Keeper(dict.fromkeys(parts), lambda: weights.at, note, about, Iteration(patience=4))
            new.set_model(SimpleNamespace(stop_training=False))
            return new

        one = keeper()
        one.begin()
        for epoch in range(len(scores) - 1):
            if one.is_over:
                break
            if epoch in stop_at:
                before, one = one, keeper()
                one.restore(json.loads(json.dumps(before.about)), before.best)
            weights.at = epoch + 1
            one.on_epoch_begin(epoch)
            one.on_epoch_end(epoch, {"loss": 1.0})
        assert one.best == one.best_epoch
        ends.append((number, one.best_epoch))
    return [Epoch.from_json(json.loads(line)) for line in lines], ends


def epochs(journal):
    return [(line.phase, line.epoch) for line in kept_epochs(journal)]


CASES = {
    "the lowest of all is in another phase": [[2.0, 0.5, 0.6], [0.51, 0.505, 0.52]],
    "a phase that made nothing better": [[2.0, 0.5], [0.5, 0.6, 0.7]],
    "equal losses": [[2.0, 0.5, 0.5], [0.5, 0.5]],
    "it waited in vain": [[2.0, 0.5, 0.6, 0.6, 0.6, 0.6, 0.1]],
    "no number": [[2.0, 1.0, nan, 0.1]],
    "no number at the beginning": [[inf, 1.0]],
    "one epoch": [[2.0]],
}


@pytest.mark.parametrize("phases", CASES.values(), ids=CASES)
@pytest.mark.parametrize("parts", [("train", "val"), ("train",)], ids=["validation", "no validation"])
@pytest.mark.parametrize("stop_at", [(), (1, 2)], ids=["whole", "resumed"])
def test_it_is_what_the_keeper_kept(phases, parts, stop_at, monkeypatch):
    journal, ends = journey(phases, monkeypatch, parts, stop_at)
    assert epochs(journal) == ends
    assert all(line.kept for line in journal if line.epoch == 0)


def test_any_losses(monkeypatch):
    draw = random.Random(0)
    for _ in range(200):
        losses = [[draw.choice([0.1, 0.2, 0.3, 0.4, 0.5, nan]) for _ in range(draw.randrange(1, 9))] for _ in range(3)]
        parts = draw.choice([("train", "val"), ("train",)])
        journal, ends = journey(losses, monkeypatch, parts, stop_at=(draw.randrange(8),))
        assert epochs(journal) == ends
        old = [replace(line, kept=None) for line in journal]
        assert epochs(old) == ends, "a journal of an older version"
        middle = draw.randrange(len(old))
        assert epochs([*old[:middle], *journal[middle:]]) == ends, "an older version began it, this one went on"


def test_a_part_that_runs_away_in_an_older_journal_was_not_kept():
    lines = [{"epoch": 0, "val_loss": 2.0}, {"epoch": 1, "val_loss": 1.0, "train_loss": None}]
    assert epochs([Epoch.from_json({"phase": 1, "cut": "x@pool", **line}) for line in lines]) == [(1, 0)]


def test_a_line_is_written_as_it_was_read_with_null_for_no_number_and_nothing_for_what_was_not_measured():
    line = {"phase": 2, "cut": "x@pool", "precision": "bfloat16", "epoch": 1, "loss": None, "train_loss": 0.5}
    line |= {"train_accuracy": 0.25, "kept": False, "seconds": 0.1}
    read = Epoch.from_json(line)
    assert isnan(read.loss) and not read.is_finite and read.val_loss is None
    assert list(read.as_json().items()) == list(line.items())
    assert replace(read, loss=inf).as_json() == line


def test_a_journal_without_a_line():
    assert kept_epochs([]) == []
