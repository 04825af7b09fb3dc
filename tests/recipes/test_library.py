"""Recipes are found by name."""

import tomllib
from pathlib import Path

import pytest

from tests import PROJECT
from topwork.errors import UsageError
from topwork.recipes import library


def test_a_name_is_a_file():
    assert library.file("xception_mnist").read_text().startswith("[about]\n")
    assert set(library.names()) == {path.stem for path in library.FOLDER.glob("*.toml")}


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert library.file("xception_mnist").parent == library.FOLDER
    Path("xception_mnist").touch()
    assert library.file("xception_mnist") == Path("xception_mnist")


def test_what_looks_like_a_path_is_one():
    assert [library.file(word) for word in ("mine.toml", "a/xception_mnist")] == [
        Path("mine.toml"),
        Path("a/xception_mnist"),
    ]


def test_an_unknown_name():
    with pytest.raises(UsageError) as error:
        library.file("inception_v3_mist")
    assert str(error.value) == (
        "no recipe 'inception_v3_mist'; did you mean 'inception_v3_mnist'? 'topwork recipes' lists them all; "
        "a file of your own ends in .toml."
    )


def test_the_package_holds_them():
    about = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    held = {
        path.stem
        for pattern in about["topwork"]
        for path in (PROJECT / "topwork").glob(pattern)
        if path.suffix == ".toml"
    }
    assert held == set(library.names())


def test_one_by_its_name():
    assert library.recipe("xception_mnist").phases[0].cut == "xception@36"
