"""Every example in a docstring runs as printed, with NumPy as ``np``."""

import doctest
import re
from importlib import import_module

import numpy as np
import pytest

from tests import PROJECT

PATHS = sorted(path for folder in ("topwork", "benchmarks") for path in (PROJECT / folder).rglob("*.py"))
NAMES = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in PATHS]
MODULES = [name for name, path in zip(NAMES, PATHS) if re.search(r"^ *>>> ", path.read_text("utf-8"), re.MULTILINE)]


def test_they_are_found():
    assert {"topwork.data.views", "benchmarks.swap"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(import_module(name), extraglobs={"np": np}).failed == 0
