"""What docs/reference.md says is true."""

import re
import tomllib
from dataclasses import fields

from tests import PROJECT
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Head, Join, Search

TEXT = (PROJECT / "docs" / "reference.md").read_text()
BLOCK, SEARCH, JOIN = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_every_key_stands_there_with_its_default():
    default = Recipe.from_mapping({"phase": [{"cut": "mobilenet_v2@pool"}]})
    assert tomllib.loads(BLOCK) == tomllib.loads(default.dumps())


def test_so_does_every_key_of_a_join():
    members = ("runs/a", "runs/b")  # this key has no default
    assert Recipe.from_mapping(tomllib.loads(JOIN)) == Recipe(join=Join(members))
    assert tomllib.loads(JOIN)["join"].keys() == {f.name for f in fields(Join)}


def test_so_does_every_key_of_a_search():
    found = tomllib.loads(SEARCH)
    assert Recipe.from_mapping(found).search == Search(5.0)
    assert found["search"].keys() == {f.name for f in fields(Search)}


def test_keys_without_a_default_are_named():
    without = [f.name for kind in (Backbone, Head) for f in fields(kind) if f.default is None]
    assert without == ["size", "model", "file"]
    comments = " ".join(re.findall(r"#(.*)", BLOCK))
    assert all(re.search(rf"\b{name}\b", comments) for name in without)


def test_every_variable_is_named():
    sources = "".join(path.read_text() for path in (PROJECT / "topwork").rglob("*.py"))
    used = set(re.findall(r'environ(?:\.get\(|\[)"((?:TOPWORK|KERAS)_\w+)"', sources))
    used |= set(re.findall(r'"(TOPWORK_TOKEN)"', sources))  # Typer reads it
    assert used == set(re.findall(r"^\| `([A-Z][A-Z_]+)(?:=1)?` \|", TEXT, re.MULTILINE)) | {"KERAS_HOME"}
