"""The last lines of a training name what helps next, with its evidence."""

from pathlib import Path

import numpy as np
import pytest

from topwork.data.dataset import Dataset, Row
from topwork.scoring import metrics
from topwork.system.advice import at_command_line
from topwork.training.next_steps import tell

DATA = Dataset("/my photos", tuple(Row(f"{i}.png", f"{i}", ["cat", "dog", "owl"][i % 3], "train") for i in range(30)))


def told(capsys, hits, **options):
    """Return what is said about a run; *hits*: the share of each class's 50 pictures that is right."""
    labels = np.repeat(np.arange(3), 50)
    found = np.concatenate(
        [np.where(np.arange(50) < 50 * hit, label, (label + 1) % 3) for label, hit in enumerate(hits)]
    )
    scores = metrics.measure(labels, np.eye(3)[found] * 0.9 + 0.03, ("cat", "dog", "owl"))
    tell(Path("runs/a b"), DATA, scores, **options)
    return capsys.readouterr().err.splitlines()


def test_how_to_look_and_how_to_use(capsys):
    look, page, use, _ = told(capsys, (0.9, 0.9, 0.9))
    assert page == "Page: topwork.Run('runs/a b').report() writes one, with the audit and the learning curve"
    assert look == "Look: topwork.Run('runs/a b').evaluate().wrong lists the wrong ones of the 150 test pictures."
    assert use == "Use: topwork.Run('runs/a b').predict(PICTURES)"
    with at_command_line():
        look, page, use, _ = told(capsys, (0.9, 0.9, 0.9))
    assert page.startswith("Page: 'runs/a b/report.html' in a browser; topwork report 'runs/a b' adds the audit")
    assert look == "Look: topwork evaluate 'runs/a b' --wrong lists the wrong ones of the 150 test pictures."
    assert use == "Use: topwork export 'runs/a b' model.onnx, then topwork predict model.onnx PICTURES"


@pytest.mark.parametrize(
    ("hits", "options", "start"),
    [
        (
            (0.9, 0.3, 0.9),
            {},
            "Better: only 30 % of 'dog' are found, fewer than of other classes; it has 10 training pictures.",
        ),
        ((0.9, 0.8, 0.9), {}, "Better: topwork.curve(data) (would more pictures help?), "),
        ((0.9, 0.3, 0.9), {"better": "more light."}, "Better: more light."),
    ],
    ids=["a weak class", "chance explains the weakest", "something is known"],
)
def test_what_may_make_it_better(capsys, hits, options, start):
    assert told(capsys, hits, **options)[3].startswith(start)


def test_a_run_with_a_parent_is_compared(capsys):
    with at_command_line():
        assert told(capsys, (0.9, 0.3, 0.9), parent=Path("runs/first"))[3:] == [
            "Better than before? topwork compare runs/first 'runs/a b'"
        ]


def test_a_run_that_is_right_needs_nothing(capsys):
    assert [line.split(":")[0] for line in told(capsys, (1, 1, 1))] == ["Page", "Use"]


def test_without_a_test_part_there_is_nothing_to_look_at(capsys):
    tell(Path("runs/a"), DATA, None)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["Page", "Use"]


def test_a_fold_says_nothing(tmp_path, capsys):
    (tmp_path / "fold-1").mkdir()
    tell(tmp_path / "fold-1", DATA, None)
    assert capsys.readouterr().err == ""
