"""The members of a join: what they must have in common, and the parts that their pictures keep."""

from dataclasses import replace

import pytest

from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, RunError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Join
from topwork.runs.creation import create
from topwork.runs.scores import Results
from topwork.training.fusion import members

RECIPE = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
CLASSES = ("cat", "dog")
PARTS = ("train", "train", "val", "test")


@pytest.fixture(autouse=True)
def where(tmp_path, monkeypatch):
    """Change to an empty working directory, so that messages are short."""
    monkeypatch.chdir(tmp_path)


def rows(numbers=range(8), classes=CLASSES, **parts):
    return tuple(
        Row(f"{i}.png", f"{i:064x}", classes[i % len(classes)], parts.get(f"p{i}", PARTS[i // 2 % 4])) for i in numbers
    )


def run(name, some=None, parent=None, columns=("path",), finished=True):
    folder = create(name, RECIPE, Dataset("/d", some or rows(), columns=columns), parent)
    if finished:
        folder.keep_results(Results(accuracy=None))
    return folder


def told(call, kind):
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


def opened(*names):
    return members.opened(Join(names))


def test_members_that_fit():
    run("a"), run("b")
    assert [str(folder.path) for folder in opened("a", "b")] == ["a", "b"]


def test_a_member_that_is_not_there():
    run("a")
    assert told(lambda: opened("a", "b"), RunError) == (
        "join.members names 'b', and there is no such folder: name finished runs, as in "
        'topwork.join(["runs/a", "runs/b"]).'
    )


def test_a_member_that_has_not_finished():
    run("a"), run("b", finished=False)
    assert told(lambda: opened("a", "b"), RunError) == (
        "the member 'b' has not finished. Continue it first: topwork.Run('b').resume()"
    )


def test_a_join_of_joins(tmp_path):
    run("a"), run("b")
    join = create("both", Recipe(join=Join(("a", "b"))), Dataset("/d", rows()))
    join.keep_results(Results(accuracy=None))
    assert told(lambda: opened("both", "a"), RunError) == (
        f"'both' is a join, and a join cannot be joined: use its members instead ('{tmp_path}/a', '{tmp_path}/b')."
    )


def test_members_of_other_classes():
    run("a"), run("b", rows(classes=("cat", "owl")))
    assert told(lambda: opened("a", "b"), RunError) == (
        "the classes of 'a' are 'cat', 'dog', and those of 'b' are 'cat', 'owl': a join needs the same. "
        "Omit one of them, or train it again."
    )


def test_members_of_other_pictures_a_row():
    sides = tuple(replace(row, further=((f"side-{row.path}", row.digest[::-1]),)) for row in rows())
    run("a"), run("b", sides, columns=("front", "side"))
    assert told(lambda: opened("a", "b"), RunError) == (
        "the pictures a row of 'a' are 'path', and those of 'b' are 'front', 'side': a join needs the same. "
        "Omit one of them, or train it again."
    )


def test_data_of_other_classes():
    run("a"), run("b")
    other = Dataset("/d", rows(classes=("cat", "owl")))
    assert told(lambda: members.fitting(other, opened("a", "b")), RunError) == (
        "the classes of 'a' are 'cat', 'dog', and those of 'DATA' are 'cat', 'owl': a join needs the same. "
        "Omit one of them, or train it again."
    )


def test_the_name_of_a_single_picture_counts_for_nothing():
    run("a"), run("b")
    data = Dataset("/d", rows(), columns=("photo",))
    assert members.fitting(data, opened("a", "b")) == data


def test_without_data_the_pictures_are_the_members():
    run("a"), run("b")
    assert members.pictures(opened("a", "b")).rows == rows()


@pytest.mark.parametrize(
    "other", [rows(range(7)), (*rows(range(7)), replace(rows()[7], label="cat"))], ids=["fewer", "another label"]
)
def test_without_data_the_pictures_must_be_the_same(other):
    run("a"), run("b", other)
    assert told(lambda: members.pictures(opened("a", "b")), DatasetError) == (
        "'a' and 'b' have other pictures, or other labels for them ('7.png'). "
        "Say which to join them on: topwork.join(members, data=DATA)."
    )


def test_pictures_keep_the_parts_that_the_members_knew(capsys):
    run("a", rows(range(6))), run("b", rows(range(2, 8)))
    drawn = tuple(replace(row, split="test") for row in rows(range(10)))
    found = members.with_parts(Dataset("/d", drawn), opened("a", "b"))
    assert [row.split for row in found.rows] == [row.split for row in rows()] + ["test", "test"]
    note = "8 of 10 pictures stay in the part that they had in the members."
    assert found.notes == (note,)
    assert capsys.readouterr().err == note + "\n"


def test_what_shares_a_group_follows():
    run("a"), run("b")
    drawn = (replace(rows()[0], split="test", group="g"), Row("new.png", "ff", "cat", "test", "g"))
    found = members.with_parts(Dataset("/d", drawn), opened("a", "b"))
    assert [row.split for row in found.rows] == ["train", "train"]


def test_any_picture_of_a_row_counts():
    run("a"), run("b")
    row = Row("new.png", "ff", "cat", "test", further=(("again.png", rows()[0].digest),))
    found = members.with_parts(Dataset("/d", (row,), columns=("front", "side")), opened("a", "b"))
    assert found.rows[0].split == "train"


def test_what_a_members_parent_was_trained_on_is_known():
    parent = run("parent", rows(range(8)))
    run("a", rows(range(2, 8)), parent), run("b", rows(range(2, 8)))
    data = Dataset("/d", tuple(replace(row, split="test") for row in rows(range(2))))
    assert [row.split for row in members.with_parts(data, opened("a", "b")).rows] == ["train", "train"]


def test_members_that_disagree_on_a_part():
    run("a"), run("b", rows(p6="train", p7="train"))
    data = Dataset("/d", rows())
    assert told(lambda: members.with_parts(data, opened("a", "b")), DatasetError) == (
        "the members had pictures in other parts: '6.png' is in test of 'a', '6.png' is in train of 'b' "
        "(1 more like it). What one of them was trained on cannot test the join: train them on the same data with the "
        "same data.split, data.draw, data.seed and training.seed, or leave these pictures out."
    )


def test_the_folder_of_a_join_keeps_its_members():
    a, b = run("a"), run("b")
    (a.path / "checkpoints").mkdir()
    (a.path / "checkpoints" / "1.npz").write_text("large")
    join = create("both", Recipe(join=Join(("a", "b"), "weighted")), Dataset("/d", rows()))
    kept = join.members
    assert [str(folder.path) for folder in kept] == ["both/members/1", "both/members/2"]
    assert all(folder.recipe == RECIPE and folder.data().rows == rows() for folder in kept)
    assert not (kept[0].path / "checkpoints").exists()
    assert join.origins == [str(folder.path.resolve()) for folder in (a, b)]
    assert 'members = [\n    "members/1",\n    "members/2",\n]' in (join.path / "recipe.toml").read_text()
    assert join.recipe.join == Join(("both/members/1", "both/members/2"), "weighted")
    assert (a.members, a.origins) == ((), [])
