"""Unusual pictures are found among others, by what their data are like."""

from dataclasses import replace

import numpy as np
import pytest

from topwork.data.dataset import Row
from topwork.data.quality import unusual
from topwork.data.quality.appearance import Appearance
from topwork.data.quality.facts import Fact

USUAL = Appearance(320, 240, "JPEG", 110, 25, 200, 1.5, 90)


def usual(count=60, seed=0):
    """Return pictures that vary as photos do."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        bright = draw.normal(0, 20)
        yield replace(
            USUAL,
            width=int(draw.integers(240, 500)),
            height=int(draw.integers(240, 500)),
            brightness=110 + bright,
            shadows=max(0.0, 25 + bright / 2),
            highlights=min(255.0, 200 + bright),
            sharpness=float(draw.normal(1.5, 0.15)),
            colour=float(draw.uniform(30, 120)),
        )


def rows_of(known):
    return [Row(f"{digest}.jpg", digest, "cat") for digest in known]


def found_in(*strange, count=60):
    known = {f"{i:02}": one for i, one in enumerate((*usual(count), *strange))}
    return [(one.kind, one.paths, one.label) for one in unusual.of_appearances(rows_of(known), known)]


def test_nothing_is_unusual_among_pictures_that_vary():
    assert found_in() == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("tiny", {"width": 30, "height": 30}),
        ("odd_aspect", {"width": 1200, "height": 150}),
        ("odd_aspect", {"width": 100, "height": 900}),
        ("dark", {"brightness": 8, "shadows": 0, "highlights": 20}),
        ("bright", {"brightness": 245, "shadows": 235, "highlights": 255}),
        ("blurred", {"sharpness": 0.6}),
        ("grey", {"colour": 0.0}),
    ],
)
def test_one_strange_picture_is_found_as_what_it_is(kind, change):
    assert found_in(replace(USUAL, **change)) == [(kind, ("60.jpg",), "cat")]


def test_the_strangest_has_the_highest_score():
    known = {f"{i:02}": one for i, one in enumerate([*usual(), *(replace(USUAL, sharpness=s) for s in (0.6, 0.3))])}
    found = {one.paths[0]: one.score for one in unusual.of_appearances(rows_of(known), known)}
    assert found["61.jpg"] > found["60.jpg"]


def test_a_flower_on_black_is_not_dark_as_it_has_highlights():
    assert found_in(replace(USUAL, brightness=15, shadows=0, highlights=180)) == []


def test_values_are_compared_with_those_of_the_same_data():
    """Among small grey pictures, neither size nor grey is unusual."""
    known = {f"{i:02}": replace(one, width=28, height=28, colour=0.0) for i, one in enumerate(usual())}
    assert unusual.of_appearances(rows_of(known), known) == []


def test_small_differences_are_not_unusual_in_data_that_are_all_alike():
    known = {f"{i:02}": USUAL for i in range(60)} | {"60": replace(USUAL, width=300, sharpness=1.4, highlights=190)}
    assert unusual.of_appearances(rows_of(known), known) == []


def test_few_pictures_and_pictures_that_are_not_known_are_not_judged():
    assert unusual.of_appearances([], {}) == []
    assert found_in(replace(USUAL, sharpness=0.1), count=3) == []
    known = {f"{i:02}": one for i, one in enumerate(usual())}
    assert unusual.of_appearances([*rows_of(known), Row("new.jpg", "new", "cat")], known) == []


def test_equal_pictures_are_named_once():
    known = {f"{i:02}": one for i, one in enumerate([*usual(), replace(USUAL, sharpness=0.3)])}
    rows = [*rows_of(known), Row("again.jpg", "60", "cat")]
    assert [one.paths for one in unusual.of_appearances(rows, known)] == [("60.jpg",)]


def fact(luma, width=320, height=240):
    return Fact(False, b"12345678", bytes(np.clip(luma, 0, 255).astype(np.uint8)), width, height)


def test_facts_of_reading_show_the_size_and_the_exposure():
    draw = np.random.default_rng(0)
    known = {f"{i:02}": fact(draw.normal(110, 50, 64)) for i in range(60)}
    known |= {"dark": fact(draw.normal(8, 3, 64)), "bright": fact(draw.normal(245, 3, 64))}
    known |= {"tiny": fact(draw.normal(110, 50, 64), 20, 20), "broken": "the file is empty"}
    found = {(one.kind, *one.paths) for one in unusual.of_facts(rows_of(known), known)}
    assert found == {("dark", "dark.jpg"), ("bright", "bright.jpg"), ("tiny", "tiny.jpg")}
    assert unusual.of_facts([], {}) == []
