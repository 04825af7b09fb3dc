"""A run's answers for its test part are read from its predictions.csv."""

from array import array

import numpy as np
import pytest

from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, RunError
from topwork.recipes.recipe import Recipe
from topwork.runs.creation import create
from topwork.runs.predictions import Answer, Exam, answers, mistakes, write_mistakes
from topwork.runs.scores import Rate, Results

ROWS = (
    Row("a.png", "a" * 64, "cat", "test"),
    Row("b.png", "b" * 64, "dog", "test"),
    Row("c.png", "c" * 64, "dog", "train"),
    Row("d.png", "d" * 64, "dog", "val"),
)
HEADER = "path,label,predicted,cat,dog\n"


@pytest.fixture
def folder(tmp_path):
    """Return a finished run with four pictures, two of them in the test part."""
    made = create(tmp_path / "run", Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]}), Dataset("/d", ROWS))
    made.keep_results(Results(accuracy=Rate(0.5, 0.0, 1.0)))
    (made.path / "predictions.csv").write_text(HEADER + "a.png,cat,cat,0.75,0.25\nb.png,dog,cat,0.5,0.5\n")
    return made


def test_what_a_run_said(folder):
    found = Exam.of(folder)
    a, b = ROWS[:2]
    assert found == Exam(
        str(folder.path),
        ("cat", "dog"),
        (Answer(a, True, array("d", (0.75, 0.25))), Answer(b, False, array("d", (0.5, 0.5)))),
        frozenset({"c" * 64}),
    )
    assert found.by_key() == {(a.digest,): found.answers[0], (b.digest,): found.answers[1]}
    assert found.knows(("a" * 64, "c" * 64)) and not found.knows(("a" * 64, "d" * 64))


def test_a_row_of_several_pictures_is_all_of_them(tmp_path):
    sides = [Row("front.png", "f0", "cat", "test", further=(("side.png", digest),)) for digest in ("s1", "s2")]
    (tmp_path / "p.csv").write_text(HEADER + "front.png,cat,cat,0.75,0.25\nfront.png,cat,dog,0.25,0.75\n")
    _, (first, second) = answers(tmp_path / "p.csv", sides)
    assert (first.key, first.right) == (("f0", "s1"), True)
    assert (second.key, second.right) == (("f0", "s2"), False)


def test_of_equal_pictures_the_first_answers():
    twice = tuple(Answer(Row(path, "00", "cat", "test"), True, array("d", (1.0, 0.0))) for path in ("a.png", "b.png"))
    assert Exam("run", ("cat", "dog"), twice, frozenset()).by_key() == {("00",): twice[0]}


def test_a_run_that_has_not_finished(folder):
    (folder.path / "results.json").unlink()
    with pytest.raises(RunError) as e:
        Exam.of(folder)
    assert str(e.value) == (
        f"the run '{folder.path}' has not finished: it has no results.json. "
        f"Continue it: topwork.Run({str(folder.path)!r}).resume()"
    )


@pytest.mark.parametrize(
    ("draw", "way"),
    [
        ("hash", "Train it with some, as in topwork.read(DATA, split=(0.8, 0.1, 0.1))."),
        (
            "auto",
            "Its data come with parts of their own, and none is named test: name one (parts of topwork.read for "
            "folders, the column split in a table), or use topwork.cross_validate.",
        ),
    ],
)
def test_a_run_without_a_test_part(tmp_path, draw, way):
    recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}], "data": {"draw": draw}})
    folder = create(tmp_path / "run", recipe, Dataset("/d", ROWS))
    folder.keep_results(Results(accuracy=None))
    with pytest.raises(DatasetError) as e:
        Exam.of(folder)
    assert str(e.value) == (f"the run '{folder.path}' has no test part: runs are compared on test pictures. {way}")


@pytest.mark.parametrize(
    "line",
    [
        "z.png,cat,cat,0.75,0.25",  # no such row
        "c.png,dog,dog,0.75,0.25",  # a row of the training part
        "a.png,cat,cat,0.75,0.25",  # a second time
        "b.png,cat,cat,0.75,0.25",  # another label
        "b.png,dog,owl,0.75,0.25",  # no such class
        "b.png,dog,cat,0.75",
        "b.png,dog,cat,0.75,0.25,0",
        "b.png,dog,cat,0.75,much",
        "b.png,dog,cat,0.75,nan",
        "b.png",
    ],
)
def test_a_line_that_does_not_fit(folder, line):
    path = folder.path / "predictions.csv"
    path.write_text(HEADER + "a.png,cat,cat,0.75,0.25\n" + line + "\n")
    with pytest.raises(RunError) as e:
        Exam.of(folder)
    assert str(e.value) == (
        f"'{path}', line 3: expected a row of the test part in pictures.csv with its label, the label predicted and "
        "2 probabilities. Was one of the two files changed?"
    )


def test_mistakes_are_listed_the_surest_first_and_name_their_files(tmp_path):
    rows = [Row(f"{name}.png", name, label) for name, label in zip("abcd", ("cat", "dog", "cat", "dog"))]
    found = mistakes(rows, np.array([[0.4, 0.6], [0.75, 0.25], [0.9, 0.1], [0.875, 0.125]]), ("cat", "dog"))
    write_mistakes(tmp_path / "wrong.csv", found)
    assert (tmp_path / "wrong.csv").read_text().splitlines() == [
        "path,label,predicted,probability",
        "d.png,dog,cat,0.875",
        "b.png,dog,cat,0.75",
        "a.png,cat,dog,0.6",
    ]


def test_without_mistakes_the_list_has_only_its_heading(tmp_path):
    write_mistakes(tmp_path / "wrong.csv", mistakes([Row("a.png", "a", "cat")], np.array([[1.0, 0.0]]), ("cat", "dog")))
    assert (tmp_path / "wrong.csv").read_text().splitlines() == ["path,label,predicted,probability"]
