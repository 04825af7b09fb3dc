"""The line of each key in a TOML file; `tomllib` provides the keys for comparison."""

import time
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.errors import CutError, RecipeError
from topwork.recipes.parsing import line_of, located

TEXT = '''# [data] in a comment
[data] # seed = 9
split = [0.8,
         0.1, # seed = 8
         0.1]
draw = "a # [head] seed = 7"
seed = 1

[about]
does = """\\
  [views]
  count = 3 \\"""
  [[phase]]"""
title = \'\'\'
kind = "mlp"
\'\'\'

[backbones.vgg16]
size = 224
"odd key" . "x.y" = 'a = "b'
[backbones]
resnet50 = { weights = "random", size = 32 }
inline.dotted.size = 1.5

[[phase]]
cut = "vgg16@pool"
[phase.sub]
deep = 07:32:00
[[phase]]

cut = """"quoted""""
batch = { of = [ { a = 1 },
  { a = 2, b = [1, 2] } ], c = [] }
[[phase.more]]
x = 1
[[phase.more]]
x = 2
'''

EXPECTED = {
    "data": 2,
    "data.split": 3,
    "data.split.2": 3,
    "data.draw": 6,
    "data.seed": 7,
    "about": 9,
    "about.does": 10,
    "about.title": 14,
    "backbones": 18,
    "backbones.vgg16": 18,
    "backbones.vgg16.size": 19,
    "backbones.vgg16.odd key.x.y": 20,
    "backbones.resnet50": 22,
    "backbones.resnet50.weights": 22,
    "backbones.resnet50.size": 22,
    "backbones.inline": 23,
    "backbones.inline.dotted.size": 23,
    "phase": 25,
    "phase.1": 25,
    "phase.1.cut": 26,
    "phase.1.sub": 27,
    "phase.1.sub.deep": 28,
    "phase.2": 29,
    "phase.2.cut": 31,
    "phase.2.batch.of.1.a": 32,
    "phase.2.batch.of.2": 32,
    "phase.2.batch.of.2.b": 32,
    "phase.2.batch.of.2.b.2": 32,
    "phase.2.batch.c": 32,
    "phase.2.more.1.x": 35,
    "phase.2.more.2": 36,
    "phase.2.more.2.x": 37,
}


def keys(value, path=()):
    """Yield every key in what tomllib returns; entries of lists count from 1."""
    inside = value.items() if isinstance(value, dict) else enumerate(value, 1) if isinstance(value, list) else ()
    for word, one in inside:
        yield ".".join(map(str, (*path, word)))
        yield from keys(one, (*path, word))


def test_every_key_has_its_line():
    assert {key: line_of(key, TEXT) for key in EXPECTED} == EXPECTED


def test_there_are_no_others():
    assert all(line_of(key, TEXT) for key in keys(tomllib.loads(TEXT)))
    assert [line_of(key, TEXT) for key in ("", "seed", "x.y", "views.count", "draw")] == [None] * 5
    assert [line_of(key, TEXT) for key in ("data.sed", "phase.3", "phase.2.more.3.x")] == [2, 25, 34]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
VALUES = st.recursive(
    st.integers(0, 9) | st.floats(0, 1) | st.booleans() | WORDS | st.dates(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS, inside, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=4), st.booleans())
def test_whatever_is_written_is_found_again(table, multiline):
    text = tomli_w.dumps(table, multiline_strings=multiline)
    begun = {1, *(number for number, line in enumerate(text.split("\n"), 1) if "=" in line or line.startswith("["))}
    assert {line_of(key, text) for key in keys(table) if key} <= begun


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# a = 1", 'a = "\\""', "a = '''x'''''\nb = 1", "[a]", "a=1\r\n[b]\r\nc=2\r\n"]
)
def test_texts_at_the_edge(text):
    assert all(line_of(key, text) for key in keys(tomllib.loads(text)))
    assert line_of("none", text) is None


def test_windows_ends_of_lines_count_once():
    assert [line_of(key, "a=1\r\n[b]\r\nc=2\r\n") for key in ("a", "b", "b.c")] == [1, 2, 3]


def test_a_long_file_takes_no_long_time():
    text = "[training.class_weight]\n" + "".join(f"class_{number} = 1.5\n" for number in range(2000))
    begin = time.perf_counter()
    assert line_of("training.class_weight.class_1999", text) == 2001
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    ("key", "line"), [("phase.2.cut", 31), ("phase.1.learning_rate", 25), ("backbones.vgg16.scale", 18)]
)
def test_an_error_is_told_with_the_line_of_its_key_or_its_table(key, line):
    told = located(RecipeError("wrong.", key), Path("a.toml"), TEXT)
    assert (type(told), str(told)) == (RecipeError, f"'a.toml', line {line}: wrong.")


@pytest.mark.parametrize("key", ["", "head.kind"])
def test_an_error_without_a_line_stays_as_it_is(key):
    error = CutError("wrong.", key)
    assert located(error, Path("a.toml"), TEXT) is error
