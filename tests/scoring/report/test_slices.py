"""Slices: their pictures, their corrected intervals, and how seldom chance makes one differ."""

from dataclasses import replace

import numpy as np
import pytest

from topwork.data.dataset import Row
from topwork.data.quality.appearance import Appearance
from topwork.scoring.report.slices import LEAST, slices

USUAL = Appearance(320, 240, "JPEG", 110, 25, 200, 1.5, 90)


def drawn(count=300, seed=0, accuracy=0.8):
    draw = np.random.default_rng(seed)
    rows, known = [], {}
    for i in range(count):
        camera = "north" if draw.random() < 0.5 else "south"
        rows.append(Row(f"{i}.jpg", f"{i:04}", "cat", "test", extra={"camera": camera, "name": str(i)}))
        bright, width = draw.uniform(20, 200), int(draw.choice([240, 320, 500]))
        known[f"{i:04}"] = replace(USUAL, brightness=bright, width=width, height=320, sharpness=draw.uniform(1, 2))
    return rows, draw.random(count) < accuracy, known


def test_every_picture_is_in_one_slice_of_each_kind():
    rows, right, known = drawn()
    found = slices(rows, right, known)
    kinds = {one.by for one in found}
    assert kinds == {"brightness", "size", "sharpness", "aspect", "camera"}, "a column of names is no slice"
    for kind in kinds:
        assert sum(one.pictures for one in found if one.by == kind) == len(rows)
        some = [one for one in found if one.by == kind]
        assert sum(one.pictures * one.accuracy.value for one in some) / len(rows) == pytest.approx(right.mean())


def test_chance_makes_few_reports_differ():
    """The intervals together have a level of 95 %."""
    differing = sum(any(one.differs for one in slices(*drawn(seed=seed))) for seed in range(60))
    assert differing <= 6


def test_a_camera_with_worse_answers_differs():
    rows, right, known = drawn()
    worse = np.array([row.extra["camera"] == "north" for row in rows])
    right &= ~worse | (np.arange(len(rows)) % 2 == 0)
    assert {one.value for one in slices(rows, right, known) if one.differs} >= {"north"}


def test_groups_are_slices_and_small_slices_are_left_out():
    rows, right, _ = drawn(60)
    rows = [replace(row, group="large" if i >= LEAST - 1 else "small") for i, row in enumerate(rows)]
    found = slices(rows, right, {})
    assert {(one.by, one.value) for one in found if one.by == "group"} == {("group", "large")}
    assert slices([], np.zeros(0, bool), {}) == []
