"""Shortcuts are named with their class, and none that chance explains."""

from dataclasses import replace

import numpy as np
import pytest

from topwork.data.dataset import Dataset, Row
from topwork.data.quality.appearance import Appearance
from topwork.scoring.audit.shortcuts import findings, measures, predicted

USUAL = Appearance(320, 240, "JPEG", 110, 25, 200, 1.5, 90)
LABELS = ("daisy", "rose", "tulip")


def photos(seed=0, each=50, name="{}"):
    """Return rows of three classes and their appearances, which do not depend on the class."""
    draw = np.random.default_rng(seed)
    rows, known = [], {}
    numbers = draw.permutation(3 * each)
    for i in range(3 * each):
        bright = draw.normal(0, 25)
        rows.append(Row(f"{LABELS[i % 3]}/{name.format(numbers[i])}.jpg", f"{i:03}", LABELS[i % 3]))
        known[f"{i:03}"] = replace(
            USUAL,
            width=int(draw.integers(240, 500)),
            brightness=110 + bright,
            highlights=min(255.0, 200 + bright),
            format="JPEG" if draw.random() < 0.7 else "PNG",
        )
    return Dataset("/d", tuple(rows)), known


def named(data, known):
    return {(one.label, one.advice.split(" alone")[0].split(": by ")[1]) for one in findings(data, known, seed=0)}


def test_chance_is_no_shortcut():
    """At a level of 0.05 for each measure and class of the data, at most 5 of 40 draws have a finding."""
    assert sum(bool(named(*photos(seed))) for seed in range(40)) <= 5


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"brightness": 60.0}, "brightness"),
        ({"highlights": 150.0}, "highlights"),
        ({"width": 600, "height": 400}, "size"),
        ({"format": "PNG"}, "the file format"),
    ],
)
def test_a_class_that_was_taken_in_another_way_is_named(change, what):
    data, known = photos()
    changed = {row.digest for row in data.rows if row.label == "rose"}
    for digest in changed:
        known[digest] = replace(known[digest], **change)
    assert ("rose", what) in named(data, known)
    assert {label for label, _ in named(data, known)} == {"rose"}, "beside one dark class, the others are not bright"


def test_the_order_of_file_names_is_a_measure_if_files_are_numbered():
    data, known = photos()
    ordered = sorted(data.rows, key=lambda row: row.label)
    rows = tuple(replace(row, path=f"{row.label}/IMG_{i:04}.jpg") for i, row in enumerate(ordered))
    assert {what for _, what in named(replace(data, rows=rows), known)} == {"the order of file names"}
    unnumbered = tuple(replace(row, path=f"{row.label}/photo.jpg") for row in ordered)
    assert named(replace(data, rows=unnumbered), known) == set()


def test_rows_that_belong_together_count_once():
    """Fifty frames of one dark rose are one dark rose."""
    data, known = photos(each=20)
    frames = tuple(Row(f"rose/{i}.jpg", f"dark{i}", "rose", group="one") for i in range(50))
    known |= {row.digest: replace(USUAL, brightness=20.0, highlights=60.0) for row in frames}
    assert named(replace(data, rows=data.rows + frames), known) == set()


def test_one_class_and_classes_of_few_pictures_are_not_judged():
    data, known = photos(each=5)
    assert findings(data, {d: replace(one, brightness=ord(d[-1])) for d, one in known.items()}, 0) == []
    assert findings(Dataset("/d", ()), {}, 0) == []


def test_the_area_and_its_chance_are_those_of_a_plain_count():
    draw = np.random.default_rng(1)
    labels, values = draw.integers(0, 3, 60), draw.integers(0, 7, 60).astype(float)
    areas, chances = predicted(values, labels, np.ones(3, bool), 0)
    for number in range(3):
        own, others = values[labels == number], values[labels != number]
        plain = ((own[:, None] > others).mean() + 0.5 * (own[:, None] == others).mean()).item()
        assert areas[number] == pytest.approx(plain)
    assert ((chances > 0) & (chances <= 1)).all()


def test_measures_that_do_not_vary_are_omitted():
    data, known = photos()
    alike = dict.fromkeys(known, USUAL)
    assert set(measures(data, range(len(data)), alike)) == {"order"}
