"""Recipes in run folders of format 1 are read under today's names; everywhere else the old names are refused."""

import json

import pytest

from topwork.errors import RecipeError
from topwork.recipes.recipe import Recipe
from topwork.recipes.renamed import NAMES
from topwork.recipes.settings import Head, Phase, Views

OLD = """[views]
count = 2
fill = "reflect"

[head]
kind = "mlp"
initializer = "he_normal"

[[phase]]
cut = "mobilenet_v2@pool"
rate = 0.5
batch = 7
warmup = 1.5
clip_norm = 2.0
schedule = "cosine"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(OLD, encoding="utf-8")
    return path


def test_every_old_name_is_read_beside_an_environment_of_format_1(recipe):
    recipe.with_name("environment.json").write_text('{"format": 1}', encoding="utf-8")
    found = Recipe.load(recipe)
    assert found.views == Views(count=2, fill_mode="reflect")
    assert found.head == Head("mlp", kernel_initializer="he_normal")
    assert found.phases == (
        Phase(
            "mobilenet_v2@pool",
            learning_rate=0.5,
            batch_size=7,
            warmup_epochs=1.5,
            global_clipnorm=2.0,
            schedule="cosine",
        ),
    )
    assert not NAMES.keys() & set(found.dumps().replace("=", " ").split())


@pytest.mark.parametrize("beside", [None, "", "[]", '{"format": 2}', "{}"])
def test_an_old_name_is_refused_elsewhere_with_its_line_and_the_new_name(recipe, beside):
    if beside is not None:
        recipe.with_name("environment.json").write_text(beside, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"line 11: unknown key 'rate' in phase.1: it is called 'learning_rate'"):
        Recipe.load(recipe)


@pytest.mark.parametrize(("old", "new"), NAMES.items())
def test_each_old_name_is_refused_with_the_new_one_where_that_is_a_key(old, new):
    places = [
        part for part, kind in (("views", Views), ("head", Head), ("phase", Phase)) if new in kind.__dataclass_fields__
    ]
    (place,) = places
    phase = {"cut": "mobilenet_v2@pool"}
    table = {"phase": [{**phase, old: 1}]} if place == "phase" else {place: {old: 1}, "phase": [phase]}
    with pytest.raises(RecipeError, match=f"unknown key '{old}' in .*: it is called '{new}' now"):
        Recipe.from_mapping(table)


def test_an_environment_that_is_no_text_says_nothing(recipe):
    recipe.with_name("environment.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError):
        Recipe.load(recipe)


def test_the_new_names_are_read_in_a_run_of_format_1_as_well(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('[[phase]]\ncut = "vgg16@pool"\nlearning_rate = 0.5\n', encoding="utf-8")
    path.with_name("environment.json").write_text(json.dumps({"format": 1}), encoding="utf-8")
    assert Recipe.load(path).phases == (Phase("vgg16@pool", learning_rate=0.5),)
