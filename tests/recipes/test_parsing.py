"""Strict reading of a table: what it accepts, what it refuses, and its messages."""

from dataclasses import dataclass
from math import inf
from typing import Literal

import pytest

from topwork.errors import RecipeError
from topwork.recipes.parsing import check_range, expect, put, read, refuse_unknown


@dataclass(frozen=True)
class Oven:
    name: str
    degrees: float = 180.0
    minutes: int | None = None
    fan: bool = False
    heat: Literal["top", "below"] = "top"
    shelves: tuple[int, ...] = ()


def refused(table, words):
    with pytest.raises(RecipeError) as error:
        read(Oven, table, "oven", name="big")
    assert str(error.value) == words


def test_a_table_becomes_a_dataclass():
    table = {"degrees": 200, "minutes": 30, "fan": True, "heat": "below", "shelves": [1, 3]}
    found = read(Oven, table, "oven", name="big")
    assert found == Oven("big", 200.0, 30, True, "below", (1, 3))
    assert isinstance(found.degrees, float)
    assert read(Oven, {}, "oven", name="big") == Oven("big")


def test_what_is_not_read():
    refused([], "oven = []: expected a table.")
    refused({"degres": 1}, "unknown key 'degres' in oven; did you mean 'degrees'? "
            "Known keys: degrees, minutes, fan, heat, shelves.")  # fmt: skip
    refused({"name": "x"}, "unknown key 'name' in oven. Known keys: degrees, minutes, fan, heat, shelves.")
    refused({"degrees": "hot"}, "oven.degrees = 'hot': expected a number.")
    refused({"minutes": True}, "oven.minutes = True: expected a whole number.")
    refused({"fan": 1}, "oven.fan = 1: expected true or false.")
    refused({"heat": "belo"}, "oven.heat = 'belo': expected 'top' or 'below'; did you mean 'below'?")
    refused({"shelves": 2}, "oven.shelves = 2: expected a list of whole numbers.")
    refused({"shelves": [1, "x"]}, "oven.shelves = 'x': expected a whole number.")


def test_the_place_is_known_to_who_asks():
    with pytest.raises(RecipeError) as error:
        read(Oven, {"degrees": "hot"}, "oven", name="big")
    assert error.value.key == "oven.degrees"


@pytest.mark.parametrize("value", [None, 1, 0, 0.5, (0.2, 1), ()])
def test_a_value_within_its_range(value):
    check_range(value, 0, 1, "share")


def test_a_value_out_of_its_range():
    with pytest.raises(RecipeError) as error:
        check_range((0.5, 2.0), 0, 1, "share")
    assert str(error.value) == "share = 2.0: expected between 0 and 1."
    with pytest.raises(RecipeError) as error:
        check_range(0, 1, inf, "size")
    assert str(error.value) == "size = 0: expected at least 1."


def test_expect_gives_the_value_back():
    assert expect((list, tuple), [1], "rows", "a list") == [1]
    with pytest.raises(RecipeError, match=r"^rows = 3: expected a list\.$"):
        expect((list, tuple), 3, "rows", "a list")


def test_a_known_key_is_not_refused():
    refuse_unknown({"a": 1}, ("a", "b"), "recipe")


def test_a_setting_goes_deep():
    table = {"data": {"seed": 0}, "phase": [{"learning_rate": 1}, {"learning_rate": 2}]}
    put(table, "data.seed", 5)
    put(table, "phase.2.learning_rate", 3)
    put(table, "head.kind", "mlp")
    assert table == {
        "data": {"seed": 5},
        "phase": [{"learning_rate": 1}, {"learning_rate": 3}],
        "head": {"kind": "mlp"},
    }


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("phase.3.learning_rate", "cannot set 'phase.3.learning_rate': the recipe has 2 phases, numbered from 1."),
        ("seed", "cannot set 'seed': expected a key such as 'data.seed' or 'phase.1.learning_rate'."),
        ("data.seed.x", "cannot set 'data.seed.x': expected a key such as 'data.seed' or 'phase.1.learning_rate'."),
    ],
)
def test_what_cannot_be_set(key, words):
    with pytest.raises(RecipeError) as error:
        put({"data": {"seed": 0}, "phase": [{}, {}]}, key, 1)
    assert str(error.value) == words
