from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.data.dataset import PARTS, Dataset, Row
from topwork.data.folds import folds
from topwork.errors import DatasetError, RecipeError


def rows(count, labels="ab", group=lambda i: None):
    return tuple(Row(f"{i}.png", f"{i:04x}", labels[i % len(labels)], None, group(i)) for i in range(count))


def told(given_rows, count, error=DatasetError):
    with pytest.raises(error) as caught:
        folds(Dataset("/d", given_rows), count, 0)
    return str(caught.value)


def test_every_row_is_tested_once_and_classes_are_even():
    data = Dataset("/d", rows(200, "abbb"), notes=("The val part is empty.",))
    dealt = folds(data, 5, 0)
    for fold in dealt:
        assert fold.counts() == {
            "a": {"train": 36, "val": 4, "test": 10},
            "b": {"train": 108, "val": 12, "test": 30},
        }
        assert tuple(replace(row, split=None) for row in fold.rows) == data.rows
        assert fold.notes == ()
    assert Counter(row.path for fold in dealt for row in fold.part("test")) == dict.fromkeys(
        (r.path for r in data.rows), 1
    )


def test_the_same_seed_deals_the_same_folds_and_another_others():
    for given_rows in (rows(60), rows(60, group=lambda i: str(i // 3))):
        data = Dataset("/d", given_rows)
        assert folds(data, 3, 7) == folds(data, 3, 7)
        assert folds(data, 3, 7) != folds(data, 3, 8)


def test_parts_that_were_given_are_drawn_anew():
    data = Dataset("/d", rows(40))
    drawn = replace(data, rows=tuple(replace(row, split="test") for row in data.rows))
    assert folds(drawn, 4, 0) == folds(data, 4, 0)


some_rows = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(40, 90), st.sampled_from("ab"), st.sampled_from([None, None, "g", "h", "i"])
    ),
    min_size=12,
    max_size=60,
).map(
    lambda drawn: tuple(
        Row(f"{i}.png", str(front), label, None, group, ((f"s{i}.png", str(side)),))
        for i, (front, side, label, group) in enumerate(drawn)
    )
)


@given(given_rows=some_rows, count=st.integers(2, 4), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_rows_that_share_a_picture_or_a_group_share_a_part(given_rows, count, seed):
    try:
        dealt = folds(Dataset("/d", given_rows), count, seed)
    except DatasetError:
        return
    assert len(dealt) == count
    for fold in dealt:
        ties = {(tie, row.split) for row in fold.rows for tie in (*(d for _, d in row.pictures), row.group) if tie}
        assert len(ties) == len({tie for tie, _ in ties})
        assert {row.label for row in fold.part("train")} == set(fold.classes)
        assert {row.split for row in fold.rows} <= set(PARTS)
    tested = Counter(row.path for fold in dealt for row in fold.part("test"))
    assert tested == dict.fromkeys((row.path for row in given_rows), 1)


def test_groups_are_dealt_whole_and_evenly():
    dealt = folds(Dataset("/d", rows(120, group=lambda i: f"g{i // 4}")), 5, 0)
    assert [len(fold.part("test")) for fold in dealt] == [24] * 5
    assert [len(fold.part("val")) for fold in dealt] == pytest.approx([9.6] * 5, abs=2)


def test_the_only_unit_of_a_class_that_is_left_trains():
    given_rows = (*rows(20, "a"), *(Row(f"b{i}.png", f"b{i}", "b") for i in range(2)))
    for seed in range(20):
        for fold in folds(Dataset("/d", given_rows), 2, seed):
            assert fold.counts()["b"] == {"train": 1, "val": 0, "test": 1}


@pytest.mark.parametrize("count", [1, 0, -3])
def test_fewer_than_two_folds_are_refused(count):
    assert told(rows(20), count, RecipeError) == f"folds = {count}: expected at least 2."


def test_more_folds_than_the_smallest_class_has_pictures_are_refused():
    given_rows = (*rows(20, "a"), *(Row(f"b{i}.png", f"b{i}", "b") for i in range(3)))
    assert told(given_rows, 5) == (
        "5 folds, but the class 'b' has 3 pictures: expected at least one per fold. "
        "Use fewer folds, add pictures, or leave out the class."
    )
    assert told((*rows(20, "a"), Row("b.png", "b", "b")), 2) == (
        "2 folds, but the class 'b' has 1 picture: expected at least one per fold. "
        "Use fewer folds, add pictures, or leave out the class."
    )


def test_equal_pictures_and_groups_count_as_one():
    tied = [Row(f"b{i}.png", f"b{i // 2}", "b", None, "g" if i > 3 else None) for i in range(8)]
    assert told((*rows(20, "a"), *tied), 5) == (
        "5 folds, but the class 'b' has 3 pictures that are independent (8, but equal ones, near-copies and groups "
        "count as one): expected at least one per fold. Use fewer folds, add pictures, or leave out the class."
    )


def test_a_class_that_one_fold_alone_would_hold_is_refused(monkeypatch):
    given_rows = (*rows(20, "a"), *(Row(f"b{i}.png", f"b{i}", "b") for i in range(2)))
    monkeypatch.setattr("sklearn.model_selection.StratifiedKFold.split", lambda *_: [(range(10), range(10, 22))])
    assert told(given_rows, 2) == (
        "all pictures of the class 'b' are in the test part of one fold, because its groups are uneven. "
        "Use fewer folds or another seed, or leave out the class."
    )
