"""How topwork handles a dataset that lacks a validation part."""

from dataclasses import replace
from hashlib import sha256

import pytest

from topwork.data.dataset import Dataset, Row
from topwork.data.holdout import LOST, as_before, remark, with_validation
from topwork.recipes.settings import Data, Training
from topwork.system.advice import at_command_line


def rows(count, split="train"):
    names = [f"{split}{i}" for i in range(count)]
    return tuple(Row(name, sha256(name.encode()).hexdigest(), "ab"[i % 2], split) for i, name in enumerate(names))


DATA = Dataset("/d", (*rows(50), *rows(10, "test")))


def test_a_tenth_of_each_class_is_held_out():
    held = with_validation(DATA, Training())
    counts = held.counts()
    assert sorted(counts[label]["val"] for label in "ab") == [2, 3]
    assert all(counts[label]["test"] == 5 for label in "ab")
    assert held.notes == ("No validation part: 5 of 50 training pictures are held out for it.",)


def test_the_last_fifth_is_held_out():
    held = with_validation(DATA, Training(hold_out_share=0.2, hold_out_draw="last"))
    assert [row.split for row in held.rows] == ["train"] * 40 + ["val"] * 10 + ["test"] * 10


def test_a_part_that_is_there_stays():
    given = Dataset("/d", (*rows(8), *rows(4, "val"), *rows(4, "test")))
    assert with_validation(given, Training(hold_out_share=0.2)) is given


def test_a_small_test_part_is_remarked(capsys):
    remark(DATA)
    assert (
        capsys.readouterr().err == "So few test pictures make the score uncertain: "
        "topwork.cross_validate(data, 5) tests each of the 60 pictures once.\n"
    )
    remark(Dataset("/d", rows(100, "test")))
    remark(Dataset("/d", rows(50)))
    assert capsys.readouterr().err == ""
    with at_command_line():
        remark(DATA, is_child=True)
    assert "--folds 5, without --from, tests each of" in capsys.readouterr().err


def test_a_class_with_few_test_pictures_is_named(capsys):
    rare = [replace(row, label="rare") for row in rows(2, "test")]
    remark(Dataset("/d", (*rows(100, "test"), *rare)))
    assert capsys.readouterr().err == (
        "The test part has few pictures of 'rare' (2): the scores of such a class say little.\n"
    )


def test_classes_that_were_left_out_are_named_again(capsys):
    note = f"{LOST}, as none of their pictures can be used: 'c'."
    remark(Dataset("/d", rows(100, "test"), notes=("Another note.", note)))
    assert capsys.readouterr().err == f"{note}\n"


def test_pictures_that_are_moved_against_the_parts_of_the_data_are_said_to_be(capsys):
    parts = {row.content: "train" for row in DATA.rows[:56]}
    moved = as_before(DATA, parts)
    assert len(moved.part("train")) == 56
    note = (
        "6 of 60 pictures were moved from the part that the data give to the one that they had in the parent run, "
        "so that none that was trained on there is tested."
    )
    assert (moved.notes, capsys.readouterr().err) == ((note,), f"{note}\n")
    lost = as_before(replace(DATA, rows=DATA.rows[1:], drawn=Data()), parts)
    assert lost.notes[0].endswith(" Of those in the parent run, 1 are not among these.")
    drawn = as_before(replace(DATA, drawn=Data()), parts)
    assert drawn.notes == ("56 of 60 pictures stay in the part that they had in the parent run.",)


@pytest.mark.parametrize(
    ("independent", "hint"), [(4, ": topwork.cross_validate(data, 4) tests each of the 46 pictures once"), (1, "")]
)
def test_no_more_folds_are_proposed_than_the_smallest_class_allows(capsys, independent, hint):
    small = tuple(replace(row, label="c", group=f"g{i % independent}") for i, row in enumerate(rows(6, "val")))
    remark(Dataset("/d", (*rows(30), *small, *rows(10, "test")[:10])))
    assert capsys.readouterr().err.splitlines()[-1] == f"So few test pictures make the score uncertain{hint}."


def test_a_class_that_is_not_tested_is_remarked(capsys):
    remark(Dataset("/d", (*rows(50), *(replace(row, split="test", label="a") for row in rows(120)))))
    assert capsys.readouterr().err == "The test part has no picture of 'b': the score says nothing about them.\n"


def test_nothing_can_be_held_out_of_one_group(capsys):
    given = Dataset("/d", tuple(replace(row, group="g") for row in rows(8)))
    assert with_validation(given, Training()) is given
    assert capsys.readouterr().err == (
        "No validation part, and too few independent training pictures to hold one out: the last weights are used.\n"
    )


def test_a_class_with_one_training_picture_keeps_it(capsys):
    """Holding one out of it would leave none to learn from, and must not end the command."""
    lonely = replace(rows(1)[0], label="z", path="z.png", digest="z" * 8)
    held = with_validation(Dataset("/d", (*rows(40), lonely)), Training())
    assert {row.label for row in held.part("val")} == {"a", "b"}
    assert lonely in held.rows
    each = Dataset("/d", tuple(replace(row, label=row.path) for row in rows(3)))
    assert with_validation(each, Training()) is each
    assert "no class has a training picture to spare" in capsys.readouterr().err
